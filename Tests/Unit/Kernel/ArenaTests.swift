import Glibc
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// Arenas: filled by one value, then sealed and read by many.
@Suite struct ArenaTests {
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

  @Test func `an arena larger than all memory is refused, and the process survives`() async {
    await #expect(processExitsWith: .success) {
      // If it is not refused, a signal must end it before the machine's memory does.
      var limit = rlimit(rlim_cur: 1 << 30, rlim_max: 1 << 30)
      _ = unsafe setrlimit(__rlimit_resource_t(1), &limit)
      for byteCount in [Int.max, 1 << 62, 1 << 45] {
        #expect(throws: Errno.noMemory) { _ = try Arena(named: "test", byteCount: byteCount) }
      }
    }
  }

  @Test(
    .enabled(
      if: Process.environment("LSAN_OPTIONS") == nil && Process.environment("TSAN_OPTIONS") == nil,
      "sanitizers map memory of their own"))
  func `an arena that cannot be mapped is refused`() async {
    await #expect(processExitsWith: .success) {
      // RLIMIT_AS
      var limit = rlimit(rlim_cur: 1 << 44, rlim_max: rlim_t.max)
      let byteCount = 64 << 20
      let before = try Arena(named: "test", byteCount: byteCount).seal()
      limit.rlim_cur = rlim_t(byteCount)
      _ = unsafe setrlimit(__rlimit_resource_t(9), &limit)
      #expect(throws: Errno.noMemory) { _ = try Arena(named: "test", byteCount: byteCount) }
      #expect(before.byteCount == byteCount)
    }
  }

  @Test(
    arguments: [true, false], [0, 1, 4096, 300_000, 3 << 20, 4 << 20 | 1, 5 << 20 | 7])
  func `an arena has memory up to where it was reserved`(_ isHuge: Bool, _ end: Int) throws {
    let byteCount = 5 << 20 | 7
    var arena = try Arena(named: "test", byteCount: byteCount, isHuge: isHuge)
    try arena.reserve(upTo: end)
    // A second time takes nothing.
    try arena.reserve(upTo: end / 2)
    // Reading a byte beyond would take memory for it.
    let bytes = arena.bytes
    let areZeros = Array(bytes.bytes.extracting(0..<end)).allSatisfy { $0 == 0 }
    #expect(areZeros)
    let allocated = try File(arena.seal().open()).status().allocated
    #expect(allocated >= end && allocated < byteCount + Mapping.pageByteCount)
    #expect(end > 0 || allocated == 0)
  }

  @Test func `only whole huge pages are, and only if asked for`() throws {
    func hugeByteCount(_ byteCount: Int, _ isHuge: Bool) throws -> Int {
      var arena = try Arena(named: "test", byteCount: byteCount, isHuge: isHuge)
      try arena.reserve(upTo: byteCount)
      let count = arena.hugeByteCount
      #expect(try arena.seal().hugeByteCount == count)
      return count
    }
    #expect(try hugeByteCount(5 << 20, false) == 0)
    #expect(try hugeByteCount((2 << 20) - 1, true) == 0)
    // The kernel may have no huge page left, or none at all.
    #expect(try [0, 4 << 20].contains(hugeByteCount(5 << 20, true)))
  }

  @Test func `a client's mapping uses the huge pages of an arena`() async {
    // In a process of its own, since other tests' memory would count.
    await #expect(processExitsWith: .success) {
      let byteCount = 6 << 20
      var arena = try Arena(named: "test", byteCount: byteCount)
      try arena.reserve(upTo: byteCount)
      let sealed = try arena.seal()
      let mapping = try Mapping(sealed.open(), offset: 0, byteCount: byteCount)
      let bytes = mapping.bytes(0..<byteCount)
      for offset in stride(from: 0, to: byteCount, by: Mapping.pageByteCount) {
        #expect(unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self) == 0)
      }
      let file = try File(opening: "/proc/self/smaps_rollup")
      let text = String(decoding: try file.readToEnd(limit: 1 << 16) ?? [], as: UTF8.self)
      let line = text.split(separator: "\n").first { $0.hasPrefix("ShmemPmdMapped:") }
      let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
      #expect(kibibytes == sealed.hugeByteCount >> 10)
    }
  }

  @Test func `only a descriptor with all four seals is sealed`() throws {
    let plain = try File(opening: "/dev/null")
    let isPlainSealed = SealedArena.isSealed(plain.descriptor)
    #expect(!isPlainSealed)
    let sealed = File(try Arena(named: "test", byteCount: 1).seal().open())
    let isSealed = SealedArena.isSealed(sealed.descriptor)
    #expect(isSealed)
  }

  @Test func `an arena that ends leaves no descriptor and no mapping`() throws {
    func make() throws {
      let name = "given-up"
      _ = try Arena(named: name, byteCount: 100)
      _ = try Arena(named: name, byteCount: 100).seal()
    }
    try make()
    #expect(try TemporaryDirectory.open("given-up") == [])
  }

  private func sealed(_ bytes: [UInt8] = [1, 2, 3]) throws -> SealedArena {
    var arena = try Arena(named: "test", byteCount: bytes.count)
    var target = arena.bytes
    target.copy(bytes.rawSpan, from: 0, to: 0, count: bytes.count)
    return try arena.seal()
  }

  @Test func `a sealed arena can be neither written, cut nor extended`() throws {
    let file = File(try sealed().open())
    #expect(try file.isReadOnly())
    // A descriptor that may write, as root could make one.
    let path = "/proc/self/fd/\(file.descriptor.borrowedNumber())"
    let writable = File(Descriptor(adopting: unsafe open(path, O_RDWR | O_CLOEXEC)))
    #expect(throws: Errno.notPermitted) { try writable.write([9].rawSpan) }
    #expect(ftruncate(writable.descriptor.borrowedNumber(), 1) == -1)
    #expect(ftruncate(writable.descriptor.borrowedNumber(), 1 << 20) == -1)
    #expect(try file.readAll(limit: 3) == [1, 2, 3])
  }

  @Test func `each client's descriptor has an offset of its own`() throws {
    let arena = try sealed()
    let (first, second) = (File(try arena.open()), File(try arena.open()))
    #expect(try first.readToEnd(limit: 3) == [1, 2, 3])
    #expect(try second.readToEnd(limit: 3) == [1, 2, 3])
  }

  @Test func `a run of an arena is read whole or not at all`() throws {
    let arena = try sealed()
    var bytes: [UInt8] = [0, 0]
    func read(at offset: Int) throws {
      var span = bytes.mutableSpan
      var target = unsafe span.mutableBytes
      try arena.read(at: offset, into: &target)
    }
    try read(at: 1)
    #expect(bytes == [2, 3])
    #expect(throws: Errno.invalidArgument) { try read(at: 2) }
  }

  @Test func `an arena is held elsewhere while any other descriptor is open`() throws {
    let arena = try sealed()
    #expect(!arena.isHeldElsewhere)
    func useClient() throws {
      let client = File(try arena.open())
      #expect(arena.isHeldElsewhere)
      _ = try client.status()
    }
    try useClient()
    #expect(!arena.isHeldElsewhere)
  }

  @Test func `a mapping holds an arena after its descriptor was closed`() throws {
    let arena = try sealed()
    func map() throws -> Mapping {
      try Mapping(File(arena.open()).descriptor, offset: 0, byteCount: 3)
    }
    let mapping = try map()
    #expect(arena.isHeldElsewhere)
    #expect(Array(mapping.bytes(0..<3)) == [1, 2, 3])
  }

  @Test func `a watch reports an arena after its last user, and only once`() throws {
    let watches = try ArenaWatches()
    func use() throws -> (ArenaWatches.Watch, client: File) {
      let arena = try sealed()
      return (try watches.watch(arena), File(try arena.open()))
    }
    var used: (watch: ArenaWatches.Watch, client: File)? = try use()
    let watch = try #require(used?.watch)
    #expect(watches.takeEnded() == [])
    used = nil
    // The kernel may end the file a moment after the last descriptor was closed.
    var ended: [ArenaWatches.Watch] = []
    while ended.isEmpty {
      ended = watches.takeEnded()
      Thread.sleep(milliseconds: 1)
    }
    #expect(ended == [watch])
    #expect(watches.takeEnded() == [])
  }
}
