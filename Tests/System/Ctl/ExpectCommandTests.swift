import Foundation
import Testing
import WarmstartTestSupport

/// `--expect sha256:…` of the commands that open a checkpoint.
@Suite struct ExpectCommandTests {
  private let daemon: RunningDaemon
  private let bundle: BundleWriter.Bundle

  init() throws {
    daemon = try RunningDaemon()
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [16], [UInt8](repeating: 1, count: 16))
    bundle = try writer.write(to: daemon.directory.path(percentEncoded: false))
  }

  private func run(_ arguments: String...) throws -> Command {
    try Command("warmstartctl", ["--socket", daemon.socketPath] + arguments)
  }

  /// What the command in the error message prints.
  private func digest() throws -> String {
    let command = try Command(
      "/bin/sh", ["-c", "cat '\(bundle.prefix)'.index '\(bundle.prefix)'.data-* | sha256sum"])
    return String(command.output.prefix(64))
  }

  @Test func `a checkpoint with the digest is preloaded, and reports show the digest`() throws {
    #expect(try run("list", bundle.prefix, "--json").output.contains(#""sha256":null"#))
    let digest = try digest()
    let preload = try run("preload", bundle.prefix, "--expect", "sha256:\(digest)")
    #expect(preload.status == 0 && preload.errors.isEmpty)
    #expect(preload.output.contains("1 tensor, 16 B ready"))
    for command in [try run("list", bundle.prefix, "--json"), try run("status", "--json")] {
      #expect(command.output.contains(#""sha256":"\#(digest)""#))
    }
  }

  @Test(arguments: ["preload", "resolve"])
  func `another digest is refused with both digests`(verb: String) throws {
    let variables = bundle.prefix + ".json"
    try Data(#"{"variables": [{"name": "a", "dtype": "uint8", "shape": [16]}]}"#.utf8)
      .write(to: URL(filePath: variables))
    let options = verb == "resolve" ? ["--assign", "a=a", "--variables", variables] : []
    let wrong = String(repeating: "0", count: 64)
    let command = try Command(
      "warmstartctl",
      ["--socket", daemon.socketPath, verb, bundle.prefix, "--expect", "sha256:\(wrong)"] + options)
    #expect(command.status == 1 && command.output.isEmpty)
    #expect(command.errors.contains("DATA_LOSS (CHECKSUM_MISMATCH): \(bundle.prefix): "))
    #expect(
      command.errors.contains(
        "have the SHA-256 \(try digest()), expected \(wrong), as printed by: "))
  }

  @Test(arguments: ["md5:00", "sha256:00", "sha256:\(String(repeating: "g", count: 64))"])
  func `what is no SHA-256 is a wrong command line`(digest: String) throws {
    let command = try run("preload", bundle.prefix, "--expect", digest)
    #expect(command.status == 64)
    #expect(command.errors.contains("expected sha256: and 64 hexadecimal digits, not '\(digest)'"))
  }
}
