import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// What `warmstartctl health` says, and how failures that may pass are told from others.
@Suite struct HealthCommandTests {
  @Test func `a daemon that serves is healthy`() throws {
    let daemon = try RunningDaemon()
    let command = try Command("warmstartctl", ["--socket", daemon.socketPath, "health"])
    #expect(command.status == 0)
    #expect(command.output == "SERVING\n")
    let json = try Command("warmstartctl", ["--socket", daemon.socketPath, "health", "--json"])
    #expect(json.output == #"{"status":"SERVING"}"# + "\n")
  }

  @Test func `health fails without a daemon`() throws {
    let directory = try TemporaryDirectory()
    let command = try Command("warmstartctl", ["--socket", directory.path + "/s", "health"])
    #expect(command.status == 1)
    #expect(command.errors.hasPrefix("warmstartctl: UNAVAILABLE (CONNECTION): no daemon listens"))
  }

  @Test
  func `health gives up on a daemon that does not answer, and only a terminal shows the wait`()
    throws
  {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/s"
    let listener = try Socket(listeningAt: FilePath(path), mode: 0o600)
    for arguments in [["health"], ["--timeout", "1.5", "status"]] {
      let command = try Command("warmstartctl", ["--socket", path] + arguments)
      #expect(command.status == 1)
      #expect(command.output == "")
      #expect(
        command.errors
          == "warmstartctl: DEADLINE_EXCEEDED (DEADLINE): the daemon did not answer in time\n")
    }
    _ = listener
  }

  @Test func `a script learns when to ask a full daemon again`() throws {
    let daemon = try RunningDaemon(["--max-connections", "1"])
    var holders: [Socket] = []
    var command: Command
    // A place is free until the daemon has accepted those that came before.
    repeat {
      holders.append(try Socket(connectingTo: FilePath(daemon.socketPath)))
      command = try Command("warmstartctl", ["--socket", daemon.socketPath, "status", "--json"])
    } while command.status == 0 && holders.count < 20
    #expect(command.status == 1)
    #expect(command.errors.contains(#""reason":"QUOTA""#))
    #expect(command.errors.contains(#""retry_ms":1000"#))
    _ = holders
  }
}
