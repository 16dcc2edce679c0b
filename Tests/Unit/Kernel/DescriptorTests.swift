import Glibc
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// Descriptors, files and mappings: who closes them, and what may be read of them.
@Suite struct DescriptorTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/file"
    try BundleFile.write([(0, Self.contents)], byteCount: nil, to: path)
  }

  private static let contents = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 * 7) }

  private func file() throws -> File { try File(opening: FilePath(path)) }

  @Test func `a file is closed once, after its last user`() throws {
    var first: File? = try file()
    let second = first
    first = nil
    #expect(try directory.openFiles() == [path])
    #expect(try second?.status().size == 10_000)
    func forget(_ file: consuming File?) { file = nil }
    forget(consume second)
    #expect(try directory.openFiles() == [])
    _ = first
  }

  @Test func `a released descriptor is the caller's to close`() throws {
    let number = try release()
    #expect(try directory.openFiles() == [path])
    let owned = Descriptor(adopting: number)
    let borrowed = owned.borrowedNumber()
    #expect(borrowed == number)
    close(owned)
    #expect(try directory.openFiles() == [])
  }

  private func release() throws -> CInt {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    return Descriptor(adopting: number).release()
  }

  private func close(_ descriptor: consuming Descriptor) {}

  @Test func `a duplicate outlives the original and is closed on exec`() throws {
    let duplicate = try duplicateOnly()
    let flags = fcntl(duplicate.borrowedNumber(), F_GETFD)
    #expect(flags == FD_CLOEXEC)
    let file = File(duplicate)
    #expect(try file.status().size == 10_000)
  }

  private func duplicateOnly() throws -> Descriptor {
    let original = try file()
    return try original.descriptor.duplicate()
  }

  @Test func `closing a descriptor that somebody else closed ends the process`() async {
    await #expect(processExitsWith: .failure) {
      let number = unsafe open("/dev/null", O_RDONLY)
      let descriptor = Descriptor(adopting: number)
      _ = Glibc.close(number)
      _ = consume descriptor
    }
  }

  // MARK: Files

  @Test func `reads return what there is, at any offset`() throws {
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
  func `an offset that no file has is refused`(_ offset: Int) throws {
    var buffer = [UInt8](repeating: 0, count: 100)
    let file = try file()
    #expect(throws: Errno.invalidArgument) {
      try file.read(at: offset, into: &buffer, range: 0..<100)
    }
  }

  @Test func `a file that is truncated under its reader returns less`() throws {
    let file = try file()
    try BundleFile.truncate(path, to: 10)
    var buffer = [UInt8](repeating: 0, count: 100)
    #expect(try file.read(at: 0, into: &buffer, range: 0..<100) == 10)
    #expect(try file.read(at: 50, into: &buffer, range: 0..<100) == 0)
    #expect(try file.readAll(limit: 9) == nil)
    #expect(try file.readAll(limit: 10) == Array(Self.contents[..<10]))
  }

  @Test func `what a file is can be told`() throws {
    #expect(try file().isReadOnly())
    #expect(try !File(creating: FilePath(path + "2")).isReadOnly())
    // O_PATH
    let pathOnly = File(Descriptor(adopting: unsafe open(path, 0o10_000_000)))
    #expect(try !pathOnly.isReadOnly())
    #expect(try file().status().isRegular)
    #expect(try !File(opening: FilePath(directory.path)).status().isRegular)
    #expect(try file().status().linkCount == 1)
    #expect(throws: Errno.noSuchFileOrDirectory) { try File(opening: FilePath(path + "3")) }
  }

  @Test func `opening a FIFO does not wait for a writer`() throws {
    let fifo = directory.path + "/fifo"
    let made = unsafe mkfifo(fifo, 0o600)
    #expect(made == 0)
    #expect(try !File(opening: FilePath(fifo)).status().isRegular)
  }

  // MARK: Mappings

  @Test(arguments: [
    (0, 10_000), (1, 1), (4095, 2), (4096, 100), (4097, 5_000), (9_999, 1), (77, 0),
  ])
  func `a run is mapped wherever it begins`(_ offset: Int, _ count: Int) throws {
    let mapping = try Mapping(
      file().descriptor, offset: offset, byteCount: count)
    #expect(Array(mapping.bytes(0..<count)) == Array(Self.contents[offset..<offset + count]))
  }

  @Test(arguments: [(-1, 1), (0, -1), (0, Int.max), (4095, Int.max), (Int.max, 1), (Int.min, 1)])
  func `a run that no file has is refused`(_ offset: Int, _ count: Int) throws {
    let file = try file()
    #expect(throws: Errno.self) {
      _ = try Mapping(file.descriptor, offset: offset, byteCount: count)
    }
  }

  @Test func `what is written to a copy is not in the file, nor in another's copy`() throws {
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

  // MARK: Arenas

  @Test func `an arena is zeros until it is filled, and cannot be empty`() throws {
    var arena = try Arena(named: "test", byteCount: 5000)
    var bytes = arena.bytes
    #expect(Array(bytes.bytes) == Array(repeating: 0, count: 5000))
    bytes.store(0x0102, at: 4992)
    let sealed = try arena.seal()
    let file = File(try sealed.open())
    #expect(try file.readAll(limit: 5000)?.suffix(8) == [2, 1, 0, 0, 0, 0, 0, 0])
    #expect(throws: Errno.invalidArgument) { _ = try Arena(named: "test", byteCount: 0) }
    #expect(throws: Errno.invalidArgument) { _ = try Arena(named: "test", byteCount: -1) }
  }

  @Test func `an arena larger than all memory is refused, not killed for`() async {
    await #expect(processExitsWith: .success) {
      // If it is not refused, a signal must end it before the machine's memory does.
      var limit = rlimit(rlim_cur: 1 << 30, rlim_max: 1 << 30)
      _ = unsafe setrlimit(__rlimit_resource_t(1), &limit)
      for byteCount in [Int.max, 1 << 62, 1 << 45] {
        #expect(throws: Errno.noMemory) { _ = try Arena(named: "test", byteCount: byteCount) }
      }
    }
  }

  @Test func `only what has all four seals is sealed`() throws {
    let plain = try file()
    let isPlainSealed = SealedArena.isSealed(plain.descriptor)
    #expect(!isPlainSealed)
    let sealed = File(try Arena(named: "test", byteCount: 1).seal().open())
    let isSealed = SealedArena.isSealed(sealed.descriptor)
    #expect(isSealed)
  }

  @Test func `an arena that is given up leaves nothing`() throws {
    func make() throws {
      let name = "given-up"
      _ = try Arena(named: name, byteCount: 100)
      _ = try Arena(named: name, byteCount: 100).seal()
    }
    try make()
    #expect(try TemporaryDirectory.open("given-up") == [])
  }
}
