import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// What a store leaves to the next process, and what that makes of it.
@Suite struct RestartTests {
  private static let alice: UInt32 = 1000
  private static let bob: UInt32 = 1001

  private static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4, 4], floats(16))
    writer.add("b", dtype: 4, [10_000], [UInt8](repeating: 7, count: 10_000))
    return writer
  }

  /// Makes the store of a new process; the process before is as good as killed.
  private func store(_ shelf: Shelf, share: Int = 1 << 20, linger: Int = 60_000) -> Store {
    Store(budget: share + share / 3, lingerMilliseconds: linger, descriptors: shelf.next())
  }

  /// Makes the store of a new process, and restores what is left.
  private func restored(_ shelf: Shelf) throws -> Store {
    let store = store(shelf)
    _ = try store.restore(shelf.passed())
    return store
  }

  private func inode(_ place: PiecePlace) throws -> UInt64 {
    try File(place.arena.arena.open()).status().inode
  }

  private func bytes(_ place: PiecePlace) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: place.byteCount)
    try bytes.write(0..<place.byteCount) { run throws(Errno) in
      try place.arena.arena.read(at: place.offset, into: &run)
    }
    return bytes
  }

  @Test func `after a kill the same arena serves the same piece, and nothing is read`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    let first = try warm.open(store(shelf))
    let piece = try first.resident.piece("a", of: warm)
    let before = try first.acquire([piece], warm)[0]
    let next = store(shelf)
    let restored = try next.restore(shelf.passed())
    #expect(restored.checkpointCount == 1)
    #expect(restored.arenaCount == 1)
    #expect(restored.complaints == [])
    let second = try warm.open(next)
    let after = try second.acquire([piece], warm)[0]
    #expect(try inode(after) == inode(before))
    #expect(after.offset == before.offset)
    #expect(try bytes(after) == floats(16))
    let counters = next.figures.counters
    #expect((counters.loads, counters.indexesParsed, counters.verifiedRuns) == (0, 0, 0))
    #expect((counters.restoredCheckpoints, counters.restoredArenas) == (1, 1))
    #expect(second.resident.holdings.arenaCount == 1)
    #expect(second.resident.generation == first.resident.generation)
    #expect(second.resident.label == "test")
  }

  @Test func `verified runs are not verified again`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    let killed = store(shelf)
    let lease = try warm.open(killed)
    _ = try lease.acquire(runs: [.whole(1)], pieces: [], from: warm.files(), for: .patient)
    killed.sweep()
    let next = store(shelf)
    _ = try next.restore(shelf.passed())
    let again = try warm.open(next)
    #expect(again.resident.holdings.verifiedByteCount == 10_000)
    _ = try again.acquire(runs: [.whole(1)], pieces: [], from: warm.files(), for: .patient)
    #expect(next.figures.counters.loads == 0)
    _ = try again.acquire(runs: [.whole(0)], pieces: [], from: warm.files(), for: .patient)
    #expect(next.figures.counters.loads == 1)
  }

  @Test func `a pin is left at once, and stays until it ends`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    let killed = store(shelf)
    killed.pin(try warm.open(killed, by: Self.bob))
    for _ in 0..<3 {
      let next = store(shelf, linger: 0)
      #expect(try next.restore(shelf.passed()).checkpointCount == 1)
      #expect(next.residents.map(\.isPinned) == [true])
      #expect(next.evictAll() == 0)
      #expect(next.accounts.amount(of: .memory, for: Self.bob) > 0)
    }
    let last = store(shelf, linger: 0)
    _ = try last.restore(shelf.passed())
    try last.unpin(last.residents[0].resident.generation.description)
    #expect(last.residents.isEmpty)
    #expect(shelf.names == [])
    #expect(last.accounts.amount(of: .memory) == 0)
    // The reaper closes the files.
    #expect(eventually { last.accounts.amount(of: .descriptors) == 0 })
  }

  @Test func `what was unused is unused again, from now on`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    do {
      let killed = store(shelf)
      let lease = try warm.open(killed)
      _ = try lease.acquire([lease.resident.piece("a", of: warm)], warm)
    }
    let next = store(shelf)
    let before = MonotonicClock.nanoseconds()
    _ = try next.restore(shelf.passed())
    #expect(next.residents.map(\.leaseCount) == [0])
    #expect(next.leaseCount == 0)
    #expect(next.residents.allSatisfy { ($0.unusedSince ?? 0) >= before })
    #expect(next.evictAll() == 1)
    #expect(shelf.names == [])
  }

  @Test func `each user pays for the same as before`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    let killed = store(shelf)
    var alices: Lease? = try warm.open(killed, by: Self.alice)
    let bobs = try warm.open(killed, by: Self.bob)
    let pieces = [try bobs.resident.piece("a", of: warm)]
    let others = [try bobs.resident.piece("b", of: warm)]
    let shared = try #require(alices).acquire(pieces, warm)[0]
    _ = try #require(alices).acquire(others, warm)
    _ = try shared.arena.grant(to: Self.bob)
    // Bob pays for the index and for what he was granted; the rest stays Alice's.
    alices = nil
    killed.sweep()
    let amounts = { (store: Store, resource: Resource) in
      [Self.alice, Self.bob].map { store.accounts.amount(of: resource, for: $0) }
    }
    let memory = amounts(killed, .memory)
    var descriptors = amounts(killed, .descriptors)
    #expect((memory + descriptors).allSatisfy { $0 > 0 })
    let next = store(shelf)
    _ = try next.restore(shelf.passed())
    #expect(amounts(next, .memory) == memory)
    // The data file is not left to the next process.
    descriptors[1] -= 1
    #expect(amounts(next, .descriptors) == descriptors)
  }

  @Test func `an arena that a client still has stays charged after its resident went`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    var client: File?
    do {
      let lease = try warm.open(store(shelf))
      let place = try lease.acquire([lease.resident.piece("b", of: warm)], warm)[0]
      client = File(try place.arena.grant(to: Self.alice))
      _ = client
    }
    let next = store(shelf)
    _ = try next.restore(shelf.passed())
    #expect(next.evictAll() == 1)
    #expect(shelf.names == [])
    #expect(next.kept.byteCount() > 10_000)
    client = nil
    next.sweep()
    #expect(next.kept.byteCount() == 0)
  }

  @Test func `a piece that is made after a restart gets an arena of its own, which is left too`()
    throws
  {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    for tensor in ["a", "b"] as [Name] {
      let lease = try warm.open(restored(shelf))
      _ = try lease.acquire([lease.resident.piece(tensor, of: warm)], warm)
    }
    #expect(shelf.count("arena") == 2)
    let next = store(shelf)
    #expect(try next.restore(shelf.passed()).arenaCount == 2)
    #expect(next.residents.count == 1)
  }

  @Test func `names differ in all processes`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    for _ in 0..<4 {
      let store = try restored(shelf)
      do {
        let lease = try warm.open(store)
        _ = try lease.acquire([lease.resident.piece("a", of: warm)], warm)
        store.sweep()
      }
      try #require(store.evictAll() == 1)
    }
    #expect(Set(shelf.allNames).count == shelf.allNames.count)
    #expect(shelf.allNames.count { $0.hasPrefix("arena.") } == 4)
  }

  @Test func `what is evicted is not left`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    let store = store(shelf)
    do {
      let lease = try warm.open(store)
      _ = try lease.acquire([lease.resident.piece("a", of: warm)], warm)
      #expect(shelf.names.count == 3)
    }
    #expect(store.evictAll() == 1)
    #expect(shelf.names == [])
  }

  @Test func `a process that stops leaves what it then drops`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    let store = store(shelf)
    do {
      let lease = try warm.open(store)
      _ = try lease.acquire([lease.resident.piece("a", of: warm)], warm)
    }
    store.leave()
    #expect(store.evictAll() == 1)
    #expect(shelf.names.count == 3)
  }

  @Test func `pinned checkpoints come first, and then the largest arenas`() throws {
    let warm = try (0..<3).map { number in
      var writer = BundleWriter()
      for name in ["x", "y"] as [BundleWriter.Key] {
        writer.add(name, dtype: 4, [1000 + number], [UInt8](repeating: 1, count: 1000 + number))
      }
      return try Warm(writer)
    }
    let shelf = Shelf(capacity: 7)
    let store = store(shelf)
    let leases = try warm.map { warm in
      let lease = try warm.open(store)
      for name in ["x", "y"] as [Name] {
        _ = try lease.acquire([lease.resident.piece(name, of: warm)], warm)
      }
      return lease
    }
    // Two files, two records and three arenas: those of the larger two checkpoints.
    #expect([shelf.count("file"), shelf.count("record"), shelf.count("arena")] == [2, 2, 3])
    store.pin(leases[0])
    #expect(shelf.names.count == 7)
    let next = self.store(shelf)
    let restored = try next.restore(shelf.passed())
    #expect((restored.checkpointCount, restored.arenaCount) == (2, 3))
    let pinned = try #require(next.residents.first { $0.isPinned }?.resident)
    #expect(pinned.generation == leases[0].resident.generation)
    #expect(pinned.holdings.arenaCount == 2)
  }

  @Test func `every pin is left before the arenas of any`() throws {
    let warm = try (0..<3).map { number in
      var writer = BundleWriter()
      writer.add("x", dtype: 4, [1000 + number], [UInt8](repeating: 1, count: 1000 + number))
      return try Warm(writer)
    }
    let shelf = Shelf(capacity: 7)
    let store = store(shelf)
    for warm in warm {
      let lease = try warm.open(store)
      _ = try lease.acquire([lease.resident.piece("x", of: warm)], warm)
      store.pin(lease)
    }
    #expect([shelf.count("file"), shelf.count("record"), shelf.count("arena")] == [3, 3, 1])
    let next = self.store(shelf)
    _ = try next.restore(shelf.passed())
    #expect(next.residents.map(\.isPinned) == [true, true, true])
  }

  @Test func `a gather, a slice, views and strings come back`() throws {
    var writer = Self.writer
    writer.add("s", strings: [Array("one".utf8), Array("two".utf8)], [2])
    let (warm, shelf) = (try Warm(writer), Shelf())
    let first = try warm.open(store(shelf))
    let pieces = [
      try first.resident.piece("a", TensorSlice(starts: [0, 1], counts: [4, 2]), of: warm),
      try first.resident.piece("a", gather: Gather([Gather.Axis(0, [3, -1, 1])]), of: warm),
      try first.resident.piece("a", view: View(dtype: .bfloat16), of: warm),
      try first.resident.piece(
        "a", TensorSlice(starts: [0, 1], counts: [4, 2]),
        view: View(axes: [1, 0], dtype: .float64),
        of: warm),
      try first.resident.piece("s", of: warm),
    ]
    let before = try first.acquire(pieces, warm).map(bytes)
    let next = store(shelf)
    #expect(try next.restore(shelf.passed()).complaints == [])
    let second = try warm.open(next)
    #expect(try second.acquire(pieces, warm).map(bytes) == before)
    #expect(next.figures.counters.loads == 0)
  }

  @Test func `files of a file system of a user's own are not given away`() throws {
    let warm = try Warm(Self.writer)
    #expect(try warm.files().obstacleToHandingOver(.v2) == nil)
    // As little trusted as a file system of a user's own.
    let files = try FileSet(
      [(role: .index, file: try File(opening: "/proc/self/limits"))], openedBy: Self.alice)
    #expect(files.obstacleToHandingOver(.v2)?.contains("another file system") == true)
  }

  // MARK: What is discarded

  /// Leaves an arena, and another thing that the test chooses, and restores both.
  private func restore(
    _ change: (Shelf, Warm) throws -> Void
  ) throws -> (store: Store, restored: Store.Restored, shelf: Shelf) {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    do {
      let lease = try warm.open(store(shelf))
      _ = try lease.acquire([lease.resident.piece("a", of: warm)], warm)
    }
    let next = store(shelf)
    try change(shelf, warm)
    return (next, next.restore(try shelf.passed()), shelf)
  }

  @Test func `a checkpoint whose index has changed is discarded`() throws {
    let (store, restored, shelf) = try restore { _, warm in
      try QuietChange.link(warm.bundle.index, as: "\(warm.directory.path)/other")
    }
    #expect(restored.checkpointCount == 0)
    #expect(restored.complaints.count == 1)
    #expect(restored.complaints[0].hasSuffix("the index file has changed since"))
    #expect(store.residents.isEmpty)
    #expect(store.accounts.amount(of: .memory) == 0)
    #expect(store.accounts.amount(of: .descriptors) == 0)
    #expect(shelf.names == [])
  }

  @Test(arguments: ["stored", "", "arena", "arena.x", "file..", "record.x.y.z", "🌋.x.y"])
  func `a stranger's descriptor is discarded, and nothing else`(name: String) throws {
    let (store, restored, shelf) = try restore { shelf, _ in
      shelf.put(try File(opening: "/dev/null"), as: name)
    }
    #expect((restored.checkpointCount, restored.arenaCount) == (1, 1))
    #expect(restored.discardedCount == 1)
    #expect(store.residents.count == 1)
    #expect(!shelf.names.contains(name))
    #expect(shelf.names.count == 3)
  }

  @Test(arguments: ["record", "file"])
  func `an arena without its record or its files is discarded`(kind: String) throws {
    let (store, restored, shelf) = try restore { shelf, _ in
      shelf.put(nil, as: try shelf.only(kind).name)
    }
    #expect(restored.checkpointCount == 0)
    #expect(store.residents.isEmpty)
    #expect(shelf.names == [])
    #expect(store.accounts.amount(of: .memory) == 0)
  }

  @Test func `a budget that became smaller discards what exceeds it`() throws {
    // Much larger than what it takes to read the index.
    var writer = Self.writer
    writer.add("c", dtype: 4, [400_000], [UInt8](repeating: 7, count: 400_000))
    let (warm, shelf) = (try Warm(writer), Shelf())
    let killed = store(shelf)
    do {
      let lease = try warm.open(killed)
      _ = try lease.acquire([lease.resident.piece("a", of: warm)], warm)
      _ = try lease.acquire([lease.resident.piece("c", of: warm)], warm)
    }
    // A page too little for both arenas.
    let share = killed.accounts.amount(of: .memory) - 4096
    let next = store(shelf, share: share)
    let restored = try next.restore(shelf.passed())
    #expect((restored.checkpointCount, restored.arenaCount) == (1, 1))
    #expect(restored.discardedCount == 1)
    #expect(shelf.count("arena") == 1)
    #expect(next.accounts.amount(of: .memory) <= share)
  }

  /// An arena's words, the file around them, and the arena's bytes before them.
  private struct Parts {
    var content: [UInt8]
    var words: [UInt64]

    init(_ file: File) throws {
      let bytes = try #require(try file.readAll(limit: 1 << 20))
      let footer = bytes.suffix(32)
      let byteCount = footer.dropFirst(16).prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      content = Array(bytes.prefix(bytes.count - 32 - byteCount))
      words = stride(from: content.count, to: content.count + byteCount, by: 8).map { offset in
        bytes[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
    }

    /// A sealed memfd of the parts, with a checksum that matches.
    func file(as kind: Trailer.Kind = .arena) throws -> File {
      var writer = StateWriter()
      for word in words { writer.append(word) }
      let closed = Trailer.close(writer, as: kind)
      return try RestartTests.sealed(content + Array(closed.rawSpan))
    }
  }

  private static func sealed(_ bytes: [UInt8]) throws -> File {
    var arena = try Arena(named: "test", byteCount: bytes.count)
    var target = arena.bytes
    target.copy(bytes.rawSpan, from: 0, to: 0, count: bytes.count)
    return try arena.seal().file
  }

  /// The first word behind a generation of one index and one data file, which is the count of
  /// pieces.
  private static let piecesAt = 1 + 1 + 2 * 7 + 1

  @Test(
    arguments: [
      // Huge bytes beyond the arena; the inode of the index; the count of pieces.
      (0, 1 << 40), (4, 1), (piecesAt, 2), (piecesAt, 0x1000_0000_0000), (piecesAt, .max),
      // Tensor, alignment, offset, length, checksums, rank, gathered axes.
      (piecesAt + 1, 1), (piecesAt + 1, 2), (piecesAt + 1, .max), (piecesAt + 2, 32),
      (piecesAt + 2, 96), (piecesAt + 2, 1 << 40), (piecesAt + 3, 8), (piecesAt + 3, 64),
      (piecesAt + 3, .max - 63), (piecesAt + 4, 63), (piecesAt + 4, 128), (piecesAt + 4, .max),
      (piecesAt + 5, 1), (piecesAt + 6, 1), (piecesAt + 6, 2), (piecesAt + 6, .max - 1),
      (piecesAt + 7, 1), (piecesAt + 7, .max),
      // Axes in another order, another type.
      (piecesAt + 8, 1), (piecesAt + 8, .max), (piecesAt + 9, 1), (piecesAt + 9, 2),
      (piecesAt + 9, 3), (piecesAt + 9, .max),
    ] as [(Int, UInt64)])
  func `a trailer with a wrong word costs its arena and nothing else`(
    position: Int, word: UInt64
  ) throws {
    let (store, restored, shelf) = try restore { shelf, _ in
      let (name, file) = try shelf.only("arena")
      var parts = try Parts(file)
      #expect(parts.words.count == Self.piecesAt + 10)
      #expect(parts.words[position] != word)
      parts.words[position] = word
      shelf.put(try parts.file(), as: name)
    }
    #expect((restored.checkpointCount, restored.arenaCount) == (1, 0))
    #expect(restored.discardedCount == 1)
    #expect(store.residents.count == 1)
    #expect(shelf.count("arena") == 0)
  }

  @Test func `an unchanged trailer that is written again is taken`() throws {
    let (_, restored, _) = try restore { shelf, _ in
      let (name, file) = try shelf.only("arena")
      shelf.put(try Parts(file).file(), as: name)
    }
    #expect(restored.arenaCount == 1)
  }

  @Test func `pieces that overlap, or lie out of order, discard their arena`() throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    do {
      let lease = try warm.open(store(shelf))
      _ = try lease.acquire(
        [lease.resident.piece("a", of: warm), lease.resident.piece("b", of: warm)], warm)
    }
    let (name, file) = try shelf.only("arena")
    let parts = try Parts(file)
    let second = Self.piecesAt + 1 + 9
    #expect(parts.words[second + 2] == 64)
    for offset in [0, 192 + 10_000] as [UInt64] {
      var parts = parts
      parts.words[second + 2] = offset
      shelf.put(try parts.file(), as: name)
      let restored = try store(shelf).restore(shelf.passed())
      #expect((restored.checkpointCount, restored.arenaCount) == (1, 0))
    }
  }

  @Test func `a damaged, cut, unsealed or foreign memfd is discarded`() throws {
    let changes: [(File) throws -> File] = [
      { file in
        var bytes = try #require(try file.readAll(limit: 1 << 20))
        bytes[bytes.count - 40] ^= 1
        return try Self.sealed(bytes)
      },
      { file in
        let bytes = try #require(try file.readAll(limit: 1 << 20))
        return try Self.sealed(Array(bytes.dropLast()))
      },
      { file in try Self.sealed(Array(try #require(try file.readAll(limit: 1 << 20)).suffix(100)))
      },
      { file in try Self.sealed([1]) },
      { file in
        var bytes = try #require(try file.readAll(limit: 1 << 20))
        // The version.
        bytes[bytes.count - 24] += 1
        return try Self.sealed(bytes)
      },
      { file in try Parts(file).file(as: .record) },
      { _ in try File(opening: "/dev/zero") },
      { _ in try File(opening: "/proc/self/exe") },
    ]
    for change in changes {
      let (store, restored, shelf) = try restore { shelf, _ in
        let (name, file) = try shelf.only("arena")
        shelf.put(try change(file), as: name)
      }
      #expect((restored.checkpointCount, restored.arenaCount) == (1, 0))
      #expect(restored.discardedCount == 1)
      #expect(store.residents.count == 1)
      #expect(shelf.count("arena") == 0)
    }
  }

  @Test(arguments: [Trailer.Kind.arena, .record, .names])
  func `no sequence of words hurts anything else`(kind: Trailer.Kind) throws {
    let (warm, shelf) = (try Warm(Self.writer), Shelf())
    let killed = store(shelf)
    do {
      let lease = try warm.open(killed)
      let rows = Gather([Gather.Axis(0, [3, -1, 1])])
      _ = try lease.acquire(
        [
          lease.resident.piece("a", TensorSlice(starts: [0, 1], counts: [4, 2]), of: warm),
          lease.resident.piece("a", gather: rows, of: warm),
          lease.resident.piece("a", view: View(axes: [1, 0], dtype: .float64), of: warm),
        ], warm)
      let publication = Publication(try PublishedName("bert"), users: [1], groups: [2])
      _ = try killed.publish(lease, warm.files(), as: publication)
      killed.sweep()
    }
    let (name, file) = try shelf.only("\(kind)")
    let parts = try Parts(file)
    var random = SeededRandom(seed: 14)
    let odd: [UInt64] = [
      0, 1, 2, 3, 64, .max, .max - 1, 1 << 63, 1 << 40, 1 << 32, 0x7fff_ffff_ffff_ffff,
    ]
    for _ in 0..<1000 {
      var parts = parts
      for _ in 0...Int.random(in: 0...2, using: &random) {
        let position = Int.random(in: 0..<max(1, parts.words.count), using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: parts.words[position] = odd.randomElement(using: &random) ?? 0
        case 1: parts.words[position] ^= 1 << UInt64.random(in: 0..<64, using: &random)
        case 2: parts.words.removeLast(max(0, min(parts.words.count - 1, 3)))
        default: parts.words.insert(odd.randomElement(using: &random) ?? 0, at: position)
        }
      }
      shelf.put(try parts.file(as: kind), as: name)
      let next = store(shelf)
      let restored = try next.restore(shelf.passed())
      #expect(restored.checkpointCount <= 1)
      #expect(next.names(for: nil, groups: { [] }).count <= 1)
      // Whatever was restored, a client gets the right bytes.
      let lease = try warm.open(next)
      let place = try lease.acquire([lease.resident.piece("a", of: warm)], warm)[0]
      #expect(try bytes(place) == floats(16))
    }
  }
}
