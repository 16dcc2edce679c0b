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
}
