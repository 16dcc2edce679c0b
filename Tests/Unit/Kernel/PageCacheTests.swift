import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// What the page cache has of a file.
@Suite struct PageCacheTests {
  private static let byteCount = 5 << 20

  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/file"
    let bytes = [UInt8](repeating: 7, count: Self.byteCount)
    try BundleFile.write([(0, bytes)], byteCount: nil, to: path)
  }

  /// The file, of which the page cache has nothing.
  private func cold() throws -> File {
    try PageCache.drop(path)
    return try File(opening: FilePath(path))
  }

  @Test func `a run is in the page cache after it was warmed up, with the huge pages around it`()
    throws
  {
    let file = try cold()
    try #require(try file.isCached(at: 0) == false)
    file.warmUp(3 << 20..<4 << 20, of: Self.byteCount)
    #expect(try file.isCached(at: 2 << 20) && file.isCached(at: (4 << 20) - 1))
  }

  @Test func `the last page of a file is warmed up too`() throws {
    let file = try cold()
    file.warmUp(0..<Int.max, of: Self.byteCount)
    #expect(try PageCache.byteCount(of: path) == Self.byteCount)
  }

  @Test func `a file that has become shorter is warmed up to its end, without a signal`() throws {
    let file = try cold()
    try BundleFile.truncate(path, to: 4096)
    file.warmUp(0..<Self.byteCount, of: Self.byteCount)
    #expect(try file.isCached(at: 0))
  }

  @Test func `nothing is warmed up behind the end of a file`() throws {
    let file = try cold()
    file.warmUp(Self.byteCount..<Self.byteCount + 4096, of: Self.byteCount)
    #expect(try file.isCached(at: Self.byteCount) == false)
  }
}
