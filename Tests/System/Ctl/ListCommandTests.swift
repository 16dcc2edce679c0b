import Foundation
import Testing
import WarmstartTestSupport

/// `warmstartctl list`, and what every command says of paths that lead nowhere.
@Suite struct ListCommandTests {
  @Test func `tensors are listed without data files, or with ones that cannot be read`() throws {
    let daemon = try RunningDaemon()
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("t", dtype: 4, [3], [1, 2, 3])
    let bundle = try writer.write(to: directory.path)
    let data = "\(bundle.prefix).data-00000-of-00001"
    try FileManager.default.removeItem(atPath: data)
    let list = ["--socket", daemon.socketPath, "list", bundle.prefix]
    let missing = try Command("warmstartctl", list)
    #expect(missing.output.hasPrefix("t  uint8"), "\(missing.errors)")
    try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
    #expect(try Command("warmstartctl", list).output == missing.output)
  }

  // MARK: --verify

  /// A checkpoint in which one tensor lacks half of its slices, as TensorFlow saves slots.
  private func storedInPart() -> BundleWriter {
    var writer = BundleWriter()
    writer.add("t", dtype: 4, [4], [1, 2, 3, 4], slices: [[.init(0, 1)], [.init(1, 1)]])
    writer.add("whole", dtype: 4, [2], [5, 6])
    return writer
  }

  private func verify(_ prefix: String) throws -> Command {
    let daemon = try RunningDaemon()
    return try Command("warmstartctl", ["--socket", daemon.socketPath, "list", prefix, "--verify"])
  }

  @Test(arguments: [
    "v2_slices_incomplete/t", "v2_partitioned/model.ckpt-7", "v1_partitioned/model",
  ])
  func `a checkpoint passes if its stored slices are sound`(_ golden: String) throws {
    let command = try verify(Golden.path(golden))
    #expect(command.status == 0, "\(command.errors)")
    #expect(command.errors.isEmpty)
  }

  @Test func `a damaged slice of a tensor that is stored in part is reported once`() throws {
    let directory = try TemporaryDirectory()
    var writer = storedInPart()
    #expect(try verify(writer.write(to: directory.path).prefix).status == 0)
    writer.change(.slice(of: "t", [.init(1, 1)])) { $0.checksum ^= 1 }
    let command = try verify(writer.write(to: directory.path).prefix)
    #expect(command.status == 1)
    #expect(command.errors.contains("(CHECKSUM_MISMATCH)"))
    #expect(command.errors.contains("tensor t is damaged: the checksum of 1 bytes at 1 of"))
    #expect(command.errors.split(separator: "\n").count == 1)
  }

  @Test func `a slice whose entry is missing is reported, and so is each other fault`() throws {
    let directory = try TemporaryDirectory()
    var writer = storedInPart()
    writer.change("t") { $0.slices.append([.init(3, 1)]) }
    writer.change("whole") { $0.checksum ^= 1 }
    let command = try verify(writer.write(to: directory.path).prefix)
    #expect(command.status == 1)
    #expect(command.errors.contains("tensor t lists slice 3,1, whose entry is not in index file"))
    #expect(command.errors.contains("tensor whole is damaged"))
    #expect(command.errors.split(separator: "\n").count == 2)
  }

  @Test func `slices that overlap are reported once, and slices outside their tensor`() throws {
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("t", dtype: 4, [4], [1, 2, 3, 4], slices: [[.init(0, 2)], [.init(1, 2)]])
    let overlap = try verify(writer.write(to: directory.path).prefix)
    #expect(overlap.status == 1)
    #expect(overlap.errors.contains("overlapping slices are stored: 0,2 and 1,2"))
    #expect(overlap.errors.split(separator: "\n").count == 1)
    writer.change("t") { $0.slices = [[.init(3, 2)]] }
    let outside = try verify(writer.write(to: directory.path).prefix)
    #expect(outside.status == 1)
    #expect(outside.errors.contains("stored slice 3,2 does not lie in the tensor"))
  }

  @Test func `a V1 table that the names of the others announce is reported as missing`() throws {
    let directory = try TemporaryDirectory()
    let table = "\(directory.path)/model-00001-of-00002"
    try FileManager.default.copyItem(
      atPath: Golden.path("v1_sharded/model-00001-of-00002"), toPath: table)
    let command = try verify("\(directory.path)/model-?????-of-00002")
    #expect(command.status == 1)
    #expect(
      command.errors.hasSuffix(
        "by the names of the other V1 tables, model-00000-of-00002 is missing\n"))
    // Who names one table asks for no other.
    #expect(try verify(table).status == 0)
    #expect(try verify(Golden.path("v1_sharded/model-?????-of-00002")).status == 0)
  }

  // MARK: Paths that lead nowhere

  @Test(arguments: [
    ("", "the path of the daemon's socket is empty"),
    ("/nowhere/s", "no daemon listens at /nowhere/s (is warmstartd started?)"),
  ])
  func `a socket without a daemon is reported`(socket: String, message: String) throws {
    let command = try Command("warmstartctl", ["status", "--socket", socket])
    #expect(command.errors == "warmstartctl: UNAVAILABLE (CONNECTION): \(message)\n")
    #expect(command.status == 1)
  }

  @Test(arguments: [
    (
      ["statu"],
      "'statu', expected list, resolve, preload, verify, watch, pin, unpin, evict, status, metrics, health, describe; did you mean status?"
    ),
    (
      ["--socket", "list", "bogus"],
      "'bogus', expected list, resolve, preload, verify, watch, pin, unpin, evict, status, metrics, health, describe\n"
    ),
    (
      ["lost", "a", "--json"],
      "'lost', expected list, resolve, preload, verify, watch, pin, unpin, evict, status, metrics, health, describe; did you mean list?"
    ),
  ])
  func `an unknown subcommand is reported with the known ones`(
    arguments: [String], message: String
  ) throws {
    let command = try Command("warmstartctl", arguments)
    #expect(command.status == 64)
    #expect(command.errors.hasPrefix("Error: unknown subcommand \(message)"))
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func `completion scripts complete the subcommands`(shell: String) throws {
    let command = try Command("warmstartctl", ["--generate-completion-script", shell])
    #expect(command.status == 0)
    #expect(command.output.contains("preload"))
  }

  @Test(arguments: [["list"], ["--bogus"], ["help", "bogus"], ["--socket"], ["status", "x"]])
  func `other mistakes are not reported as an unknown subcommand`(arguments: [String]) throws {
    let command = try Command("warmstartctl", arguments)
    #expect(!command.errors.contains("subcommand '"))
  }
}
