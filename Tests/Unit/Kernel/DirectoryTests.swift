import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// Listings of directories.
@Suite struct DirectoryTests {
  private let temporary: TemporaryDirectory

  init() throws {
    temporary = try TemporaryDirectory()
  }

  /// The names in the directory that satisfy a condition, sorted.
  private func names(where isWanted: (String) -> Bool = { _ in true }) throws -> [String] {
    var listing = try Directory(opening: FilePath(temporary.path))
    var names: [String] = []
    while let name = try listing.next(where: isWanted) { names.append(name.string) }
    return names.sorted()
  }

  @Test func `a listing has every name once, without the directory and its parent`() throws {
    #expect(try names() == [])
    let expected = (10..<60).map { "file\($0)" }
    for name in expected { _ = try File(creatingNew: FilePath(temporary.path + "/" + name)) }
    #expect(try names() == expected)
    #expect(try names { $0.hasSuffix("7") } == ["file17", "file27", "file37", "file47", "file57"])
  }

  @Test func `a name that is not UTF-8 can be opened as it was listed`() throws {
    let bytes = [UInt8](temporary.path.utf8) + [UInt8(ascii: "/"), 0xff, UInt8(ascii: "a"), 0]
    let path = unsafe FilePath(platformString: bytes.map { CChar(bitPattern: $0) })
    try File(creatingNew: path).write([1].rawSpan)
    var listing = try Directory(opening: FilePath(temporary.path))
    let name = try #require(try listing.next { _ in true })
    let file = try File(opening: FilePath(temporary.path).appending(name))
    #expect(try file.readAll(limit: 1) == [1])
  }

  @Test func `only a directory can be listed`() throws {
    let path = FilePath(temporary.path + "/file")
    #expect(throws: Errno.noSuchFileOrDirectory) { _ = try Directory(opening: path) }
    _ = try File(creatingNew: path)
    #expect(throws: Errno.notDirectory) { _ = try Directory(opening: path) }
  }

  @Test func `a listing closes its directory`() throws {
    func listed() throws -> Bool {
      let listing = try Directory(opening: FilePath(temporary.path))
      let isOpen = try temporary.openFiles() == [temporary.path]
      _ = consume listing
      return isOpen
    }
    #expect(try listed())
    #expect(try temporary.openFiles() == [])
  }
}
