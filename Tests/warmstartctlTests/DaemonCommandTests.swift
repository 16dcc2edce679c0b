import Foundation
import Kernel
import SystemPackage
import TestSupport
import Testing

/// What `warmstartd` says on its command line.
@Suite struct DaemonCommandTests {
  @Test func `a socket's path that leads to something else is said to`() throws {
    let directory = try TemporaryDirectory()
    let file = FilePath("\(directory.path)/file")
    _ = try File(creatingNew: file)
    for (path, what) in [
      (directory.path, "it is a directory"), (file.string, "it is no socket"),
      ("\(directory.path)/none/s", "there is no directory for it"),
    ] {
      let command = try Command("warmstartd", ["--socket", path])
      #expect(command.status == 1)
      #expect(command.errors == "warmstartd: cannot listen at \(path): \(what)\n")
    }
    #expect(File.exists(file))
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
    (["--socket="], "--socket needs a path, not an empty one"),
    (["--budget", "x"], "--budget needs a number of bytes such as 8G, not x"),
  ])
  func `a wrong command line is said in a line`(arguments: [String], message: String) throws {
    let command = try Command("warmstartd", arguments)
    #expect(command.status == 64)
    #expect(command.errors == "warmstartd: \(message) (warmstartd --help says more)\n")
  }

  @Test func `the daemon says how it was started, and that it stopped`() throws {
    let directory = try TemporaryDirectory()
    let (socket, log) = ("\(directory.path)/s", "\(directory.path)/log")
    let script = """
      "$0" --socket "$1" --max-connections 7 --budget 1G --linger 5 2>"$2" &
      until grep -q started "$2" || ! kill -0 $!; do sleep 0.01; done; kill $!; wait $!
      """
    let program = RunningDaemon.products.appending(path: "warmstartd").path(percentEncoded: false)
    let status = try Command("/bin/sh", ["-c", script, program, socket, log]).status
    #expect(status == 0)
    let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
    #expect(
      lines == [
        "warmstartd: version 0.1.0 started: listens for clients at \(socket), takes 7 connections, "
          + "7 of one user, 1024 MiB for arenas and indexes, keeps unused checkpoints 5 s",
        "warmstartd: stopped",
      ])
    #expect(!File.exists(FilePath(socket)))
  }

  @Test func `a daemon whose log nobody reads answers, and stops when it is told to`() throws {
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
