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
}
