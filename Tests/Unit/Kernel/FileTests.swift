import Glibc
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// Files: what can be read from them and written to them, and what paths name.
@Suite struct FileTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/file"
    try BundleFile.write([(0, Self.contents)], byteCount: nil, to: path)
  }

  private static let contents = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 * 7) }

  private func file() throws -> File { try File(opening: FilePath(path)) }

  @Test func `a read returns the bytes up to the end of the file, from any offset`() throws {
    let file = try file()
    var buffer = [UInt8](repeating: 0, count: 100)
    #expect(try file.read(at: 9_950, into: &buffer, range: 0..<100) == 50)
    #expect(Array(buffer[..<50]) == Array(Self.contents[9_950...]))
    #expect(try file.read(at: 1 << 40, into: &buffer, range: 0..<100) == 0)
    #expect(try file.read(at: 3, into: &buffer, range: 10..<10) == 0)
    #expect(try file.read(at: 3, into: &buffer, range: 40..<50) == 10)
    #expect(Array(buffer[40..<50]) == Array(Self.contents[3..<13]))
  }

  @Test(arguments: [-1, Int.min, Int.max])
  func `an offset outside any file is refused`(_ offset: Int) throws {
    var buffer = [UInt8](repeating: 0, count: 100)
    let file = try file()
    #expect(throws: Errno.invalidArgument) {
      try file.read(at: offset, into: &buffer, range: 0..<100)
    }
  }

  @Test func `a file that was truncated while open has fewer bytes to read`() throws {
    let file = try file()
    try BundleFile.truncate(path, to: 10)
    var buffer = [UInt8](repeating: 0, count: 100)
    #expect(try file.read(at: 0, into: &buffer, range: 0..<100) == 10)
    #expect(try file.read(at: 50, into: &buffer, range: 0..<100) == 0)
    #expect(try file.readAll(limit: 9) == nil)
    #expect(try file.readAll(limit: 10) == Array(Self.contents[..<10]))
  }

  @Test
  func `a file says whether it is regular, how many names it has, and what its descriptor may do`()
    throws
  {
    #expect(try file().isReadOnly())
    #expect(try !File(creating: FilePath(path + "2")).isReadOnly())
    // O_PATH
    let pathOnly = File(Descriptor(adopting: unsafe open(path, 0o10_000_000)))
    #expect(try !pathOnly.isReadOnly())
    #expect(try file().status().isRegular)
    #expect(try !File(opening: FilePath(directory.path)).status().isRegular)
    #expect(try file().status().linkCount == 1)
    #expect(try file().status() == file().knownStatus())
    #expect(throws: Errno.noSuchFileOrDirectory) { try File(opening: FilePath(path + "3")) }
  }

  @Test func `opening a FIFO does not wait for a writer`() throws {
    let fifo = directory.path + "/fifo"
    let made = unsafe mkfifo(fifo, 0o600)
    #expect(made == 0)
    #expect(try !File(opening: FilePath(fifo)).status().isRegular)
  }

  @Test func `a whole file is read only if it is within the limit`() throws {
    #expect(try file().readAll(limit: 10_000) == Self.contents)
    #expect(try file().readAll(limit: 9_999) == nil)
    #expect(try file().readToEnd(limit: 10_000) == Self.contents)
    #expect(try file().readToEnd(limit: 9_999) == nil)
  }

  @Test func `a pipe is read to its end, or up to the limit`() throws {
    func pipe(_ byteCount: Int) throws -> File {
      let ends = try FileDescriptor.pipe()
      let writeEnd = File(Descriptor(adopting: ends.writeEnd.rawValue))
      let bytes = Array(Self.contents[..<byteCount])
      try writeEnd.write(bytes.rawSpan)
      return File(Descriptor(adopting: ends.readEnd.rawValue))
    }
    #expect(try pipe(9000).readToEnd(limit: 9000) == Array(Self.contents[..<9000]))
    #expect(try pipe(9000).readToEnd(limit: 8999) == nil)
    #expect(try pipe(0).readToEnd(limit: 0) == [])
    #expect(throws: Errno.illegalSeek) { try pipe(9).readAll(limit: 9) }
  }

  @Test func `writes follow each other, and replace what a file had`() throws {
    let written = try File(creating: FilePath(path))
    let parts: [[UInt8]] = [[1, 2], [], [3]]
    for part in parts { try written.write(part.rawSpan) }
    #expect(try file().readAll(limit: 10) == [1, 2, 3])
  }

  @Test func `a new file replaces neither a file nor a link`() throws {
    #expect(throws: Errno.fileExists) { try File(creatingNew: FilePath(path)) }
    let link = path + ".link"
    #expect(unsafe symlink(path + ".nowhere", link) == 0)
    #expect(throws: Errno.fileExists) { try File(creatingNew: FilePath(link)) }
    #expect(try file().status().size == 10_000)
  }

  @Test func `a file is named by the last part of its path, as it is now`() throws {
    let file = try file()
    #expect(file.name.map { String(decoding: $0, as: UTF8.self) } == "file")
    try File.rename(FilePath(path), to: FilePath(directory.path + "/with space"))
    #expect(file.name.map { String(decoding: $0, as: UTF8.self) } == "with space")
    File.remove(FilePath(directory.path + "/with space"))
    #expect(file.name.map { String(decoding: $0, as: UTF8.self) } == "with space (deleted)")
    #expect(try file.knownStatus().linkCount == 0)
    File.remove(FilePath(directory.path + "/with space"))
  }

  @Test func `renaming a file replaces the one that has the name`() throws {
    let other = FilePath(path + "2")
    try File(creating: other).write([1].rawSpan)
    try File.rename(other, to: FilePath(path))
    #expect(try file().readAll(limit: 10) == [1])
    #expect(!File.exists(other))
    #expect(throws: Errno.noSuchFileOrDirectory) { try File.rename(other, to: FilePath(path)) }
  }

  @Test func `a directory needs a parent and a name that is free`() throws {
    let made = FilePath(directory.path + "/a")
    try File.makeDirectory(made)
    #expect(try File.isDirectory(made))
    #expect(throws: Errno.fileExists) { try File.makeDirectory(made) }
    #expect(throws: Errno.noSuchFileOrDirectory) {
      try File.makeDirectory(FilePath(directory.path + "/b/c"))
    }
  }

  @Test func `a path names what its link leads to`() throws {
    let link = path + ".link"
    #expect(unsafe symlink(path, link) == 0)
    #expect(File.exists(FilePath(link)))
    #expect(try !File.isDirectory(FilePath(link)))
    File.remove(FilePath(path))
    #expect(!File.exists(FilePath(link)))
    #expect(throws: Errno.noSuchFileOrDirectory) { try File.isDirectory(FilePath(link)) }
  }

  @Test func `a change of the bytes or the names changes a file's status`() throws {
    let before = try file().status()
    #expect(try file().status() == before)
    #expect(before.changing() == before)
    #expect(before.changing(size: 1) != before)
    #expect(before.size == 10_000)
    #expect(before.owner == getuid())
    try BundleFile.truncate(path, to: 1 << 20)
    let after = try file().status()
    #expect(after.inode == before.inode)
    #expect(after.device == before.device)
    #expect(after.size == 1 << 20)
    #expect(after.allocated < after.size)
    #expect(after.modified >= before.modified)
    #expect(abs(RealTimeClock.nanoseconds() - after.modified) < 3_600_000_000_000)
  }

  @Test func `dropping a file's cached pages leaves its bytes`() throws {
    let file = try file()
    file.dropCached(at: 0, byteCount: 10_000)
    file.dropCached(at: 5000, byteCount: 1 << 40)
    #expect(try file.readAll(limit: 10_000) == Self.contents)
  }
}
