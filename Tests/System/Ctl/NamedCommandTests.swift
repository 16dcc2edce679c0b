import Foundation
import Testing
import WarmstartTestSupport

/// `warmstartctl pin --name`, and the commands that take a name.
@Suite struct NamedCommandTests {
  private let daemon: RunningDaemon
  private let administration: String
  private let bundle: BundleWriter.Bundle

  init() throws {
    administration = FileManager.default.temporaryDirectory
      .appending(path: "warmstart-admin-\(UUID().uuidString.prefix(8))").path(percentEncoded: false)
    daemon = try RunningDaemon(["--admin-socket", administration])
    bundle = try Self.writer("a").write(to: daemon.directory.path(percentEncoded: false))
  }

  private static func writer(_ tensor: String) -> BundleWriter {
    var writer = BundleWriter()
    writer.add(.init(stringLiteral: tensor), dtype: 4, [16], [UInt8](repeating: 1, count: 16))
    return writer
  }

  private func run(_ arguments: String...) throws -> Command {
    try Command("warmstartctl", ["--socket", daemon.socketPath] + arguments)
  }

  private func administer(_ arguments: String...) throws -> Command {
    try Command("warmstartctl", ["--socket", administration] + arguments)
  }

  @Test func `a checkpoint is published, used by its name, shown, and unpinned by its name`() throws
  {
    let pin = try administer(
      "pin", "--name", "bert", "--allow-user", "root", "--allow-group", "root",
      bundle.prefix)
    #expect(pin.status == 0)
    #expect(pin.output.contains("1 tensor, 16 B pinned as name:bert"))
    let list = try run("list", "name:bert")
    #expect(list.status == 0 && list.output.contains("a "))
    #expect(try run("preload", "name:bert").output.hasPrefix("name:bert: 1 tensor, 16 B ready ("))
    #expect(try run("verify", "name:bert").output.hasPrefix("name:bert: 1 tensor, 16 B sound ("))
    let rules = "name:bert  \(bundle.prefix)  user root, group root\n"
    #expect(try administer("status").output.contains(rules))
    #expect(try run("status").output.contains("  this user\n"))
    let json = try administer("status", "--json").output
    #expect(json.contains(#""name":"bert""#) && json.contains(#""users":[0],"groups":[0]"#))
    #expect(try administer("unpin", "name:bert").status == 0)
    let gone = try run("list", "name:bert")
    #expect(gone.status == 1 && gone.errors.contains("(CHECKPOINT_NOT_FOUND)"))
  }

  @Test func `a name that moves is reported with the checkpoint that had it`() throws {
    let other = try Self.writer("b").write(
      to: daemon.directory.path(percentEncoded: false), named: "other")
    #expect(try administer("pin", "--name", "bert", bundle.prefix).errors.isEmpty)
    let moved = try administer("pin", "--name", "bert", other.prefix)
    #expect(moved.status == 0)
    #expect(moved.errors.hasPrefix("warmstartctl: name:bert was \(bundle.prefix) ("))
    let again = try administer("pin", "--name", "bert", bundle.prefix, "--json")
    #expect(try administer("status").output.contains("\nUSER "))
    #expect(again.output.contains(#""name":"bert","replaced":{"checkpoint":"\#(other.prefix)""#))
  }

  @Test(arguments: [
    (["--name", "x", "--allow-user", "no such"], "this system has no user 'no such'"),
    (["--name", "x", "--allow-group", "no such"], "this system has no group 'no such'"),
  ])
  func `wrong rules are refused before anything is read`(
    options: [String], message: String
  ) throws {
    let command = try Command(
      "warmstartctl", ["--socket", administration, "pin"] + options + [bundle.prefix])
    #expect(command.status == 1 && command.output.isEmpty)
    #expect(command.errors.contains("(INVALID_REQUEST)") && command.errors.contains(message))
  }

  @Test func `a name that no checkpoint can have is a wrong command line`() throws {
    let command = try administer("pin", "--name", ".x", bundle.prefix)
    #expect(command.status == 64)
    #expect(command.errors.contains("--name: the name '.x' of a checkpoint is not valid"))
  }

  @Test func `rules without a name are a wrong command line`() throws {
    let command = try administer("pin", "--allow-user", "0", bundle.prefix)
    #expect(command.status == 64)
    #expect(command.errors.contains("expected --name"))
  }
}
