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
