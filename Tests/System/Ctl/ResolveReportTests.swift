import Foundation
import Testing
import WarmstartTestSupport

/// What `warmstartctl resolve` says of what a map leaves undone.
@Suite struct ResolveReportTests {
  private let daemon: RunningDaemon
  private let directory: TemporaryDirectory
  private let prefix: String

  init() throws {
    daemon = try RunningDaemon()
    directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("bert/head", dtype: 4, [3], [1, 2, 3])
    writer.add("bert/w", dtype: 4, [3], [1, 2, 3])
    writer.add("step", dtype: 4, [1], [1])
    prefix = try writer.write(to: directory.path).prefix
  }

  private func resolve(_ pairs: [String], _ options: [String] = []) throws -> Command {
    let variables = "\(directory.path)/variables.json"
    let declared = #"""
      {"variables": [
        {"name": "student/w", "dtype": "uint8", "shape": [3]},
        {"name": "student/head", "dtype": "uint8", "shape": [5]},
        {"name": "student/new", "dtype": "uint8", "shape": [5]},
        {"name": "other", "dtype": "uint8", "shape": [1]}
      ]}
      """#
    try Data(declared.utf8).write(to: URL(filePath: variables))
    return try Command(
      "warmstartctl",
      ["--socket", daemon.socketPath, "resolve", prefix, "--variables", variables]
        + pairs.flatMap { ["--assign", $0] } + options)
  }

  @Test func `a map that assigns nothing exits with 1, or is reported with --lenient`() throws {
    let strict = try resolve(["bert/=studnet/"])
    #expect(strict.status == 1)
    #expect(
      strict.errors == """
        warmstartctl: INVALID_ARGUMENT (NOTHING_ASSIGNED): \(prefix): nothing is assigned: key bert/: \
        no variable is in scope studnet/; nearest: student/

        """)
    let lenient = try resolve(["bert/=studnet/"], ["--lenient"])
    #expect(lenient.status == 0)
    #expect(
      lenient.output.hasSuffix(
        """
        unused: bert/ → studnet/
        not covered: student/w
        not covered: student/head
        not covered: student/new
        not covered: other
        assigned 0 of 4 variables (0 skipped, 4 not covered); 1 pairs and 3 of 3 tensors unused

        """))
  }

  @Test func `errors name options as the command line has them`() throws {
    #expect(
      try resolve(["bert/=student/"], ["--skip-missing"]).errors
        .contains("are skipped with the option --skip-mismatched\n"))
  }

  @Test func `skipped variables are reported with both shapes, and counted`() throws {
    let options = ["--skip-missing", "--skip-mismatched"]
    let command = try resolve(["bert/=student/"], options)
    #expect(
      command.output.hasSuffix(
        """
        skipped: student/head of shape [5] (tensor bert/head is [3])
        skipped: student/new (no tensor bert/new)
        not covered: other
        assigned 1 of 4 variables (2 skipped, 1 not covered); 0 pairs and 2 of 3 tensors unused

        """), "\(command.errors)")
    let json = try resolve(["bert/=student/"], options + ["--json"])
    let expected = #"""
      "skipped":[{"variable":"student/head","tensor":"bert/head","tensor_shape":[3]},\#
      {"variable":"student/new","tensor":"bert/new"}],"unused":[],"uncovered":["other"],\#
      "unused_tensor_count":2,"unused_tensors":["bert/head","step"]}
      """#
    let line = json.output.replacing(" ", with: "")
    #expect(line.hasSuffix(expected + "\n"), "\(json.output)")
    #expect(line.contains(#""declared_count":4"#))
  }

  @Test func `a dry run reports what would be assigned, without places`() throws {
    let options = ["--skip-missing", "--skip-mismatched", "--dry-run"]
    let command = try resolve(["bert/=student/"], options)
    #expect(
      command.output == """
        student/w  ← bert/w  uint8  [3]
        skipped: student/head of shape [5] (tensor bert/head is [3])
        skipped: student/new (no tensor bert/new)
        not covered: other
        dry run: assigned 1 of 4 variables (2 skipped, 1 not covered); 0 pairs and 2 of 3 tensors unused

        """, "\(command.errors)")
    let json = try resolve(["bert/=student/"], options + ["--json"]).output
    let expected = #"""
      "tensors":[{"variable":"student/w","tensor":"bert/w","dtype":"uint8","shape":[3],\#
      "byte_count":3,"strides":[1]}],"skipped"
      """#
    #expect(json.replacing(" ", with: "").contains(expected), "\(json)")
    let status = try Command("warmstartctl", ["--socket", daemon.socketPath, "status", "--json"])
    #expect(!status.output.contains(#""verified_bytes": 3"#))
    #expect(try resolve(["bert/=student/"], options + ["--output", "new"]).status == 64)
  }

  @Test func `axes given twice for one variable are a wrong command line`() throws {
    let once = ["--transpose", "student/w=0", "--transpose", "other=0"]
    let twice = try resolve(["bert/w=student/w"], once + ["--transpose", "student/w=1,0"])
    #expect(twice.status == 64)
    #expect(twice.errors.contains("expected one --transpose for variable student/w, got several"))
    let command = try resolve(["bert/w=student/w"], once)
    #expect(command.status == 0, "\(command.errors)")
  }

  @Test func `uncovered variables are refused with --require-all`() throws {
    let options = ["--skip-missing", "--skip-mismatched", "--require-all"]
    let command = try resolve(["bert/=student/"], options)
    #expect(command.status == 1)
    #expect(
      command.errors == """
        warmstartctl: INVALID_ARGUMENT (VARIABLE_NOT_COVERED): \(prefix): variable other is matched by \
        no pair of the map

        """)
  }
}
