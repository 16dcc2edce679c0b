import Foundation
import Testing
import WarmstartConfiguration
import WarmstartTestSupport

/// The files that configure a daemon.
@Suite struct FileTests {
  private let directory: TemporaryDirectory
  private var path: String { "\(directory.path)/d.conf" }

  init() throws {
    directory = try TemporaryDirectory()
  }

  private func write(_ text: String, to name: String = "d.conf") throws {
    let url = URL(filePath: "\(directory.path)/\(name)")
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try text.write(to: url, atomically: true, encoding: .utf8)
  }

  private func read() throws -> Configuration {
    try Configuration(ConfigurationFiles(file: path).read())
  }

  /// The problems of the files.
  private func problems() throws -> [String] {
    let error = #expect(throws: ConfigurationError.self) { _ = try read() }
    return (error?.problems ?? []).map { $0.replacing(directory.path + "/", with: "") }
  }

  @Test func `lines set keys, and comments and blanks do not count`() throws {
    try write("# Budget = 1G\n\n  Budget=8G  \r\n\tLinger\t=\t2 min\n#\nMaxConnections =7")
    let configuration = try read()
    #expect(configuration.budget == .bytes(8 << 30))
    #expect(configuration.lingerSeconds == 120)
    #expect(configuration.maxConnections == 7)
    #expect(configuration.differences(from: Configuration()).count == 3)
  }

  @Test func `drop-ins are read after the file, by their names, and an empty value is the default`()
    throws
  {
    try write("Linger = 1\nMaxConnections = 3\nBudget = 2G\n")
    try write("Linger = 2\nBudget =\n", to: "d.conf.d/20-b.conf")
    try write("Linger = 3\n", to: "d.conf.d/10-a.conf")
    try write("Linger = nonsense\n", to: "d.conf.d/30-c.conf.dpkg-old")
    try write("Linger = nonsense\n", to: "d.conf.d/.hidden.conf")
    let configuration = try read()
    #expect(configuration.lingerSeconds == 2)
    #expect(configuration.maxConnections == 3)
    #expect(configuration.budget == nil)
  }

  @Test func `a problem has the file, the line, the key, what is expected and the nearest key`()
    throws
  {
    try write("Linger = 1\nBugdet = 8G\n[Service]\nLinger = 2\nMaxConnections = many\n= 7\n")
    try write("linger = 1\nBudget = 1K\n", to: "d.conf.d/a.conf")
    let size =
      "a size of at least 1M such as 8G or 8GiB, or a share of the machine's memory from 1% to 100%"
    #expect(
      try problems() == [
        "d.conf:2: unknown key Bugdet, expected one of warmstartd.conf(5); nearest: Budget",
        "d.conf:3: expected Key = value, found [Service]",
        "d.conf:4: Linger is already set on line 1, expected one line for it",
        "d.conf:5: MaxConnections: expected a whole number from 1 to 2147483648, found many",
        "d.conf:6: no key before =, expected Key = value with one of Socket, AdminSocket, "
          + "MetricsSocket, Budget, Linger, MaxConnections, MaxConnectionsPerUser",
        "d.conf.d/a.conf:1: unknown key linger, expected one of warmstartd.conf(5); nearest: Linger",
        "d.conf.d/a.conf:2: Budget: expected \(size), found 1K",
      ])
    try write("MaxConnections = many\n")
    try write("", to: "d.conf.d/a.conf")
    #expect(
      try problems() == [
        "d.conf:1: MaxConnections: expected a whole number from 1 to 2147483648, found many"
      ])
  }

  @Test func `what a terminal would act on is escaped`() throws {
    try write("\u{1b}[2J = 1\n\u{202e}\n")
    #expect(try problems().allSatisfy { !$0.contains("\u{1b}") && !$0.contains("\u{202e}") })
  }

  @Test func `files that cannot be read are problems, and a missing folder is none`() throws {
    #expect(try problems() == ["cannot read d.conf: it does not exist"])
    try write(String(repeating: "#", count: 65 << 10))
    #expect(try problems() == ["cannot read d.conf: it is longer than 64 KiB"])
    try write("")
    _ = try read()
    try FileManager.default.createDirectory(
      atPath: path + ".d/x.conf", withIntermediateDirectories: true)
    #expect(
      try problems() == [
        "cannot read d.conf.d/x.conf: it is not a regular file, expected one or a link to /dev/null"
      ])
  }

  @Test func `a link to /dev/null hides nothing else, and a FIFO is a problem and does not hang`()
    throws
  {
    try write("Linger = 1\n")
    try FileManager.default.createDirectory(atPath: path + ".d", withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: path + ".d/a.conf", withDestinationPath: "/dev/null")
    #expect(try read().lingerSeconds == 1)
    let made = unsafe mkfifo(path + ".d/b.conf", 0o600)
    #expect(made == 0)
    #expect(
      try problems() == [
        "cannot read d.conf.d/b.conf: it is not a regular file, expected one or a link to /dev/null"
      ])
  }

  @Test func `of very many problems the first are reported, and how many more there are`() throws {
    try write(String(repeating: "x\n", count: 30_000))
    let problems = try problems()
    #expect(problems.count == 21)
    #expect(problems.last == "and 29980 more problems")
  }

  @Test func `a drop-in that leads nowhere is a problem`() throws {
    try write("")
    try write("", to: "d.conf.d/1.conf")
    try FileManager.default.createSymbolicLink(
      atPath: "\(directory.path)/d.conf.d/2.conf", withDestinationPath: "absent")
    #expect(try problems() == ["cannot read d.conf.d/2.conf: it does not exist"])
  }

  @Test func `a unit's folder may have no file`() throws {
    let files = ConfigurationFiles(directory: directory.path)
    #expect(try files.read().isEmpty)
    try write("Linger = 5\n", to: "warmstartd.conf.d/a.conf")
    var paths: [String] = []
    #expect(try Configuration(files.read { path, _ in paths.append(path) }).lingerSeconds == 5)
    #expect(paths == ["\(directory.path)/warmstartd.conf.d/a.conf"])
  }
}
