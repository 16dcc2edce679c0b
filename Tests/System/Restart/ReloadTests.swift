import Foundation
import Testing
import WarmstartClient
import WarmstartHarness
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// Daemons that read their configuration, and read it again when a signal says so.
@Suite(.serialized) struct ReloadTests {
  private let directory: TemporaryDirectory
  private let manager: StandInManager
  private var client: Client { Client(socket: manager.socketPath) }
  private var path: String { "\(directory.path)/d.conf" }

  init() throws {
    directory = try TemporaryDirectory()
    manager = try StandInManager()
  }

  private func write(_ text: String) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  @Test func `a reload changes the limits, and drops no client`() throws {
    try write("Budget = 64M\nMaxConnections = 70\n")
    try manager.start(["--config", path, "--linger", "9"])
    let before = try client.status()
    #expect(before.budgetByteCount == 64 << 20)
    #expect(before.clientLimit == 70)
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [100], [UInt8](repeating: 9, count: 100))
    let bundle = try writer.write(to: directory.path)
    let holding = client
    let resolved = try holding.resolve(
      bundle.prefix, assigning: ["/": "/"], to: [Variable("a", dtype: .uint8, shape: [100])])
    try write("Budget = 128M\nMaxConnections = 7\nLinger = 1\n")
    #expect(manager.reload())
    let after = try client.status()
    #expect(after.budgetByteCount == 128 << 20)
    #expect(after.clientLimit == 7)
    #expect(after.processID == before.processID)
    #expect(try holding.status().leaseCount == 1)
    #expect(
      manager.log.last?.hasPrefix("warmstartd: reloaded: at most 7 connections,") == true)
    // The option wins over the file.
    #expect(manager.log.last?.hasSuffix("keeps unused checkpoints for 9 s") == true)
    withExtendedLifetime(resolved) {}
  }

  @Test func `a file with a mistake is refused whole, and all is as before`() throws {
    try write("Budget = 64M\n")
    try manager.start(["--config", path])
    try write("Budget = 128M\nLingr = 5\n")
    #expect(manager.reload())
    let message =
      "\(path):2: unknown key Lingr, expected one of warmstartd.conf(5); nearest: Linger"
    #expect(manager.log.last == "warmstartd: reload refused: \(message)")
    #expect(manager.statuses.last?.hasSuffix("; reload refused: \(message)") == true)
    #expect(try client.status().budgetByteCount == 64 << 20)
    try write("Budget = 128M\nLinger = 5\n")
    #expect(manager.reload())
    #expect(manager.statuses.last?.contains("refused") == false)
    #expect(try client.status().budgetByteCount == 128 << 20)
  }

  @Test func `what is used only at the start is named`() throws {
    try write("")
    try manager.start(
      ["--config", path, "--socket", "\(directory.path)/own"], passesSockets: false)
    let warning = "AdminSocket was changed, but it is used only when the daemon starts: restart it"
    let rest = "; AdminSocket must wait for a restart"
    // A second reload does not end the wait.
    for linger in [7, 8] {
      try write("AdminSocket = /run/other\nLinger = \(linger)\n")
      #expect(manager.reload())
      #expect(manager.log.count { $0 == "warmstartd: \(warning)" } == linger - 6)
      #expect(manager.log.last?.hasSuffix("for \(linger) s\(rest)") == true)
      #expect(manager.statuses.last?.hasSuffix(rest) == true)
    }
    try write("Linger = x\n")
    #expect(manager.reload())
    #expect(manager.statuses.last?.contains("\(rest); reload refused: ") == true)
    try write("")
    #expect(manager.reload())
    #expect(manager.statuses.last?.contains("restart") == false)
  }

  @Test func `a socket's path has no effect, and waits for nothing, where sockets are passed`()
    throws
  {
    try write("")
    try manager.start(["--config", path])
    try write("Socket = /run/other\n")
    #expect(manager.reload())
    let warning =
      "Socket was changed, but it has no effect, because the service manager passed the sockets"
    #expect(manager.log.dropLast().last == "warmstartd: \(warning)")
    #expect(manager.log.last?.contains("restart") == false)
    #expect(manager.statuses.last?.contains("restart") == false)
  }

  @Test func `a wrong file ends the daemon, and waiting clients hear of it`() throws {
    try write("Budget = 1K\n")
    let answer = Monitor<WarmstartError?>(nil)
    let ended = Monitor(false)
    try WarmstartKernel.Thread.detach { [socketPath = manager.socketPath] in
      do throws(WarmstartError) {
        _ = try Client(socket: socketPath).status(timeout: .seconds(60))
      } catch {
        answer.withLock { $0 = error }
      }
      ended.notifying { $0 = true }
    }
    #expect(try manager.exitStatus(["--config", path]) == 78)
    _ = ended.wait(until: .after(milliseconds: 70_000)) { $0 ? true : nil }
    let error = answer.withLock { $0 }
    #expect(error?.reason == .connection)
    #expect(error?.message.contains("cannot start, because its settings are wrong") == true)
    #expect(error?.message.contains(path) == false)
    let message =
      "\(path):1: Budget: expected a size of at least 1M such as 8G or 8GiB, or a share of the "
      + "machine's memory from 1% to 100%, found 1K"
    #expect(manager.log == ["warmstartd: \(message)"])
    #expect(manager.statuses == ["cannot start: \(message)"])
    // Mended, the same sockets serve.
    try write("Budget = 1G\n")
    try manager.start(["--config", path])
    #expect(try client.status().budgetByteCount == 1 << 30)
  }

  @Test func `a wrong option ends the daemon with another status`() throws {
    #expect(try manager.exitStatus(["--bugdet", "1G"]) == 64)
    #expect(
      manager.log == [
        "warmstartd: unknown option --bugdet; nearest: --budget (see warmstartd --help)"
      ])
  }

  @Test func `a check reads the same files, says which, and starts nothing`() throws {
    try write("Budget = 1G\n")
    let good = try Command("warmstartd", ["--config", path, "--check"])
    #expect(good.status == 0 && good.output == "read \(path)\n" && good.errors.isEmpty)
    try write("Budget = 1K\nLinger = x\n")
    let bad = try Command("warmstartd", ["--config", path, "--check"])
    #expect(bad.status == 78)
    #expect(bad.output == "read \(path)\n")
    #expect(bad.errors.split(separator: "\n").count == 2)
  }

  @Test func `a check says which files are masked`() throws {
    try write("Budget = 1G\n")
    try FileManager.default.createDirectory(atPath: path + ".d", withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: path + ".d/a.conf", withDestinationPath: "/dev/null")
    let check = try Command("warmstartd", ["--config", path, "--check"])
    #expect(check.status == 0)
    #expect(check.output == "read \(path)\nmasked \(path).d/a.conf\n")
  }

  @Test func `a check by hand reads the files of the system's daemon`() throws {
    let check = try Command("warmstartd", ["--check"])
    // Whether this machine has such files or not.
    #expect(
      check.output.hasPrefix("read /etc/warmstart/warmstartd.conf")
        || check.output.hasPrefix("read no file: found no /etc/warmstart/warmstartd.conf or"))
  }

  @Test func `a check in a unit reads the unit's files`() throws {
    let file = "\(directory.path)/warmstartd.conf"
    try "Lingr = 5\n".write(toFile: file, atomically: true, encoding: .utf8)
    let program = RunningDaemon.products.appending(path: "warmstartd").path
    let unit = ["CONFIGURATION_DIRECTORY=\(directory.path)", program, "--check"]
    let check = try Command("/usr/bin/env", unit)
    #expect(check.status == 78)
    #expect(check.output == "read \(file)\n")
    #expect(check.errors.contains("warmstartd.conf:1: unknown key Lingr"))
    // A terminal may have inherited the variable.
    let terminal = try Command("/usr/bin/env", ["JOURNAL_STREAM=1:2"] + unit)
    #expect(terminal.status == 78 && !terminal.errors.isEmpty)
    let script = "JOURNAL_STREAM=$(stat -Lc %d:%i /proc/$$/fd/2) exec env \"$@\""
    let reload = try Command("/bin/sh", ["-c", script, "sh"] + unit)
    #expect(reload.status == 78 && reload.output.isEmpty && reload.errors.isEmpty)
  }
}
