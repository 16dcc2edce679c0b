import Glibc
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// Mappings: which bytes they show, who sees what is written, and when they end.
@Suite struct MappingTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/file"
    try BundleFile.write([(0, Self.contents)], byteCount: nil, to: path)
  }

  private static let contents = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 * 7) }

  private func file() throws -> File { try File(opening: FilePath(path)) }

  @Test(arguments: [
    (0, 10_000), (1, 1), (4095, 2), (4096, 100), (4097, 5_000), (9_999, 1), (77, 0),
  ])
  func `a run can begin at any offset`(_ offset: Int, _ count: Int) throws {
    let mapping = try Mapping(
      file().descriptor, offset: offset, byteCount: count)
    #expect(Array(mapping.bytes(0..<count)) == Array(Self.contents[offset..<offset + count]))
  }

  @Test(arguments: [(-1, 1), (0, -1), (0, Int.max), (4095, Int.max), (Int.max, 1), (Int.min, 1)])
  func `a run outside any file is refused`(_ offset: Int, _ count: Int) throws {
    let file = try file()
    #expect(throws: Errno.self) {
      _ = try Mapping(file.descriptor, offset: offset, byteCount: count)
    }
  }

  @Test func `a write to a copy changes neither the file nor another copy`() throws {
    let file = try file()
    var mine = try WritableMapping(file.descriptor, offset: 3, byteCount: 9000)
    let other = try WritableMapping(file.descriptor, offset: 3, byteCount: 9000)
    var bytes = mine.mutableBytes
    for offset in 0..<8 { bytes.store(-1, at: offset * 1000) }
    let written = Array(mine.bytes)
    #expect(Array(written[1000..<1008]) == Array(repeating: 0xff, count: 8))
    let unwritten = Array(other.bytes)
    #expect(unwritten == Array(Self.contents[3..<9003]))
    #expect(try file.readAll(limit: 10_000) == Self.contents)
  }

  @Test(arguments: [0, 4096, 5000, 3 << 20 | 1])
  func `a long mapping has its offset's place in a huge page`(_ offset: Int) throws {
    let long = directory.path + "/long"
    try BundleFile.write([(0, [1])], byteCount: 8 << 20, to: long)
    let file = try File(opening: FilePath(long))
    for byteCount in [2 << 20, 2 << 20 | 5, 4 << 20] {
      let mapping = try Mapping(file.descriptor, offset: offset, byteCount: byteCount)
      let start = unsafe mapping.bytes(0..<byteCount).withUnsafeBytes {
        Int(bitPattern: $0.baseAddress)
      }
      let hugePage = Mapping.hugePageByteCount
      #expect(start % hugePage == offset % hugePage, "\(byteCount) bytes")
    }
  }

  @Test func `writing a mapping of a file that was truncated is an error, not a trap`() async throws
  {
    let (source, copy) = (path, path + ".copy")
    await #expect(processExitsWith: .success) {
      [source = source as String, copy = copy as String] in
      let file = try File(opening: FilePath(source))
      let mapping = try Mapping(
        file.descriptor, offset: 0, byteCount: 10_000)
      try BundleFile.truncate(source, to: 0)
      let target = try File(creatingNew: FilePath(copy))
      #expect(throws: Errno.badAddress) { try target.write(mapping.bytes(0..<10_000)) }
      #expect(try target.status().size == 0)
    }
  }

  @Test func `a mapping outlives its descriptor, and ends with its last copy`() throws {
    func mapping() throws -> Mapping {
      try Mapping(file().descriptor, offset: 5, byteCount: 50)
    }
    var first: Mapping? = try mapping()
    let second = first
    first = nil
    #expect(try directory.openFiles() == [])
    #expect(try isMapped())
    #expect(second.map { Array($0.bytes(0..<50)) } == Array(Self.contents[5..<55]))
    func forget(_ mapping: consuming Mapping?) { mapping = nil }
    forget(consume second)
    #expect(try !isMapped())
    _ = first
  }

  private func isMapped() throws -> Bool {
    let maps = try File(opening: "/proc/self/maps").readAll(limit: 16 << 20) ?? []
    return String(decoding: maps, as: UTF8.self).contains(path)
  }

  @Test func `elements are read with their type`() throws {
    let mapping = try Mapping(
      file().descriptor, offset: 4, byteCount: 5000)
    let numbers = mapping.elements(0..<8, as: UInt32.self, keptBy: mapping)
    #expect(numbers.count == 2)
    #expect(numbers[1] == UInt32(56) | 63 << 8 | 70 << 16 | 77 << 24)
  }

  @Test func `no elements may begin anywhere`() throws {
    let mapping = try Mapping(file().descriptor, offset: 3, byteCount: 8)
    let none = mapping.elements(0..<0, as: UInt32.self, keptBy: mapping)
    #expect(none.count == 0)
  }

  @Test func `a mapping of nothing has no bytes`() {
    let mapping = Mapping()
    #expect(mapping.byteCount == 0)
    #expect(mapping.bytes(0..<0).byteCount == 0)
  }

  @Test func `bytes outside a mapping end the process`() async throws {
    await #expect(processExitsWith: .failure) { [path = path as String] in
      let file = try File(opening: FilePath(path))
      let mapping = try Mapping(file.descriptor, offset: 10, byteCount: 20)
      _ = mapping.bytes(0..<21)
    }
  }

  @Test func `touching what was cut from a mapped file ends the process with SIGBUS`() async throws
  {
    await #expect(processExitsWith: .signal(SIGBUS)) { [path = path as String] in
      _ = signal(SIGBUS, SIG_DFL)
      let file = try File(opening: FilePath(path))
      let mapping = try Mapping(file.descriptor, offset: 0, byteCount: 10_000)
      try BundleFile.truncate(path, to: 0)
      _ = mapping.elements(8192..<8193, as: UInt8.self, keptBy: mapping)[0]
    }
  }
}
