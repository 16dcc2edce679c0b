import Foundation
import TestSupport
import Testing

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

  @Test(arguments: [
    ("", "the path of the daemon's socket is empty"),
    ("/nowhere/s", "no daemon listens at /nowhere/s (is warmstartd started?)"),
  ])
  func `a socket that nobody listens on is said to`(socket: String, message: String) throws {
    let command = try Command("warmstartctl", ["status", "--socket", socket])
    #expect(command.errors == "warmstartctl: UNAVAILABLE (CONNECTION): \(message)\n")
    #expect(command.status == 1)
  }

  @Test(arguments: [
    (["statu"], "'statu', only list, resolve, status, health; did you mean status?"),
    (["--socket", "list", "bogus"], "'bogus', only list, resolve, status, health\n"),
    (["lost", "a", "--json"], "'lost', only list, resolve, status, health; did you mean list?"),
  ])
  func `a subcommand that is none is said with those that are`(
    arguments: [String], message: String
  ) throws {
    let command = try Command("warmstartctl", arguments)
    #expect(command.status == 64)
    #expect(command.errors.hasPrefix("Error: there is no subcommand \(message)"))
  }

  @Test(arguments: [["list"], ["--bogus"], ["help", "bogus"], ["--socket"], ["status", "x"]])
  func `other mistakes are not taken for a subcommand`(arguments: [String]) throws {
    let command = try Command("warmstartctl", arguments)
    #expect(!command.errors.contains("subcommand '"))
  }
}
