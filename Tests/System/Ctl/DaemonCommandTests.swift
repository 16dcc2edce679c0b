import Foundation
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// What `warmstartd` says on its command line.
@Suite struct DaemonCommandTests {
  @Test func `a path that is not a socket's is reported`() throws {
    let directory = try TemporaryDirectory()
    let file = FilePath("\(directory.path)/file")
    _ = try File(creatingNew: file)
    for (path, what) in [
      (directory.path, "it is a directory"), (file.string, "it is not a socket"),
      ("\(directory.path)/none/s", "its directory does not exist"),
    ] {
      let command = try Command("warmstartd", ["--socket", path])
      #expect(command.status == 1)
      #expect(command.errors == "warmstartd: cannot listen at \(path): \(what)\n")
    }
    #expect(File.exists(file))
  }

  @Test func `the demo's trainer says how to call it`() throws {
    let usage = "usage: warmstart-demo-trainer CHECKPOINT\n"
    let help = try Command("warmstart-demo-trainer", ["--help"])
    #expect(help.status == 0 && help.output == usage && help.errors.isEmpty)
    for arguments in [[], ["a", "b"], ["--bogus"]] {
      let wrong = try Command("warmstart-demo-trainer", arguments)
      #expect(wrong.status == 64 && wrong.errors == usage)
    }
  }

  @Test func `a command at the metrics socket says that it is that`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/metrics.sock"
    let daemon = try RunningDaemon(["--metrics-socket", path])
    let status = try Command("warmstartctl", ["--socket", path, "status"])
    #expect(status.status == 1)
    #expect(status.errors.contains("(UNSUPPORTED): this is the metrics socket, which speaks HTTP:"))
    withExtendedLifetime(daemon) {}
  }

  @Test func `both programs have one version`() throws {
    let daemon = try Command("warmstartd", ["--version"])
    let command = try Command("warmstartctl", ["--version"])
    #expect(daemon.status == 0 && command.status == 0)
    #expect(daemon.output.hasPrefix("warmstartd "))
    #expect(command.output == daemon.output.replacing("warmstartd", with: "warmstartctl"))
  }

  @Test(arguments: [
    (["--bogus"], "unknown option --bogus"), (["x"], "unexpected argument x"),
    (["--socket"], "--socket needs a value"),
    (["--socket="], "--socket needs a value"),
    ([""], "unexpected empty argument"),
    (["--bugdet=1G"], "unknown option --bugdet; nearest: --budget"),
    (
      ["--budget", "x"],
      "--budget: expected a size of at least 1M such as 8G or 8GiB, or a share of the machine's "
        + "memory from 1% to 100%, found x"
    ),
    (
      ["--linger", "-1"],
      "--linger: expected a time such as 90, 90s, 15min, 2h or 1d, of at most 2147483648 s, found -1"
    ),
    (
      ["--max-connections", "0"],
      "--max-connections: expected a whole number from 1 to 2147483648, found 0"
    ),
  ])
  func `a wrong command line is reported in one line`(arguments: [String], message: String) throws {
    let command = try Command("warmstartd", arguments)
    #expect(command.status == 64)
    #expect(command.errors == "warmstartd: \(message) (see warmstartd --help)\n")
  }

  /// What a daemon logs, without the program's name, that is started by a shell and then stopped.
  private func logged(_ arguments: String, after command: String = "true", at socket: String) throws
    -> [String]
  {
    let script = """
      \(command)
      "$0" --socket "$1" \(arguments) 2>"$1.log" &
      until grep -q started "$1.log" || ! kill -0 $!; do sleep 0.01; done; kill $!; wait $!
      """
    let program = RunningDaemon.products.appending(path: "warmstartd").path(percentEncoded: false)
    #expect(try Command("/bin/sh", ["-c", script, program, socket]).status == 0)
    let log = try String(contentsOfFile: socket + ".log", encoding: .utf8)
    return log.split(separator: "\n").map { String($0.trimmingPrefix("warmstartd: ")) }
  }

  @Test func `the daemon logs how it was started and that it stopped`() throws {
    let directory = try TemporaryDirectory()
    let socket = "\(directory.path)/s"
    let lines = try logged("--max-connections 7 --budget 1G --linger 5", at: socket)
    #expect(
      lines == [
        "version 0.1.0 started: listens for clients at \(socket); at most 7 connections, "
          + "6 for one user; 1024 MiB for arenas and indexes, at most three quarters for one user; "
          + "keeps unused checkpoints for 5 s",
        "stopped",
      ])
    #expect(!File.exists(FilePath(socket)))
  }

  // A sanitizer takes more than any limit that says something.
  @Test(.disabled(if: ProcessMemory.isSanitized))
  func `the budget is half of what the daemon may use, and a larger one draws a warning`() throws {
    let directory = try TemporaryDirectory()
    let limit = "ulimit -d 1048576"
    let half = try logged("", after: limit, at: "\(directory.path)/half")
    #expect(half.count == 2)
    #expect(half[0].contains("; 512 MiB for arenas and indexes,"))
    let most = try logged("--budget 1G", after: limit, at: "\(directory.path)/most")
    #expect(most.count == 2)
    #expect(most[0].contains("; 1024 MiB for arenas and indexes,"))
    let more = try logged("--budget 1025M", after: limit, at: "\(directory.path)/more")
    #expect(
      more[0]
        == "the budget of 1025 MiB is more than the 1024 MiB of memory that the daemon may use: "
        + "it may be killed before the budget is spent")
    #expect(more[1].contains("; 1025 MiB for arenas and indexes,"))
  }

  @Test func `a daemon with an unread log still answers, and stops on SIGTERM`() throws {
    let directory = try TemporaryDirectory()
    let (socket, log) = ("\(directory.path)/s", "\(directory.path)/log")
    // A pipe that the shell keeps open and fills before the daemon has it.
    let script = """
      mkfifo "$2" && exec 3<>"$2" || exit 99
      dd if=/dev/zero of="$2" bs=4096 oflag=nonblock 2>"$2.dd"
      "$0" --socket "$1" 2>&3 &
      for _ in $(seq 500); do [ -S "$1" ] && break; sleep 0.01; done
      "$3" --socket "$1" --timeout 10 status || { kill -KILL $!; exit 98; }
      kill $!; wait $!
      """
    let programs = ["warmstartd", "warmstartctl"].map {
      RunningDaemon.products.appending(path: $0).path(percentEncoded: false)
    }
    let command = try Command("/bin/sh", ["-c", script, programs[0], socket, log, programs[1]])
    #expect(command.status == 0)
    #expect(command.output.contains("warmstartd 0.1.0, process"))
  }
}
