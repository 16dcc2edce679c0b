import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Charges, refunds, and the evictions that make room.
@Suite struct BudgetTests {
  /// Some 400 KiB as a piece; every checkpoint is different.
  private static func warm(_ value: UInt8) throws -> Warm {
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [400 << 10], [UInt8](repeating: value, count: 400 << 10))
    writer.add("b", dtype: 4, [10], [UInt8](repeating: value, count: 10))
    return try Warm(writer)
  }

  @Test func `the parsed index and arenas are charged, in whole pages, and refunded`() throws {
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let warm = try Self.warm(1)
    var lease: Lease? = try warm.open(store)
    let resident = try #require(lease?.resident)
    let index = resident.checkpoint.memoryByteCount + Store.residentByteCount
    #expect(store.accounts.amount(of: .memory) == index)
    let pieces = [try resident.piece("b", of: warm), try resident.piece("a", of: warm)]
    var places = try #require(lease).acquire(pieces, warm)
    #expect(places.map(\.offset) == [0, 64])
    #expect(places[0].arena.arena.byteCount == 64 + 400 << 10)
    // Each piece is remembered as well.
    #expect(
      store.accounts.amount(of: .memory)
        == index + pages(places[0].arena.arena.fileByteCount + 2 * 200))
    #expect(resident.holdings.arenaByteCount == places[0].arena.arena.byteCount)
    places = []
    lease = nil
    #expect(store.accounts.amount(of: .memory) > index)
    #expect(store.evictAll() == 1)
    _ = consume lease
  }

  @Test func `nothing stays charged after the last reference to an evicted checkpoint`() throws {
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    try hold(Self.warm(1), in: store)
    #expect(store.accounts.amount(of: .memory) > 400 << 10)
    #expect(store.evictAll() == 1)
    #expect(store.accounts.amount(of: .memory) == 0)
    #expect(store.figures.counters.evictions == 1)
    #expect(store.residents.isEmpty)
  }

  @Test
  func `unleased checkpoints are evicted, longest unused first, and no more than needed`()
    throws
  {
    let store = Store(share: 1_300_000, lingerMilliseconds: 60_000)
    for value in 1...3 { try hold(Self.warm(UInt8(value)), as: "\(value)", in: store) }
    #expect(Set(store.residents.map(\.resident.label)) == ["1", "2", "3"])
    try hold(Self.warm(4), as: "4", in: store)
    #expect(Set(store.residents.map(\.resident.label)) == ["2", "3", "4"])
    #expect(store.figures.counters.evictions == 1)
  }

  @Test func `a checkpoint that is used again is not evicted`() throws {
    let store = Store(share: 1_300_000, lingerMilliseconds: 60_000)
    let first = try Self.warm(1)
    try hold(first, as: "1", in: store)
    for value in 2...3 { try hold(Self.warm(UInt8(value)), as: "\(value)", in: store) }
    try hold(first, in: store)
    try hold(Self.warm(4), as: "4", in: store)
    #expect(Set(store.residents.map(\.resident.label)) == ["1", "3", "4"])
  }

  @Test func `if everything is leased, the call is refused with BUDGET, and nothing leaks`() throws
  {
    let store = Store(share: 1_000_000, lingerMilliseconds: 60_000)
    let warm = [try Self.warm(1), try Self.warm(2), try Self.warm(3)]
    let leases = try warm.map { try $0.open(store) }
    let granted = try (0..<2).map { index in
      let places = try leases[index].acquire(
        [leases[index].resident.piece("a", of: warm[index])], warm[index])
      return File(try places[0].arena.arena.open())
    }
    let charged = store.accounts.amount(of: .memory)
    let lease = leases[2]
    let resident = lease.resident
    for _ in 0..<3 {
      let problem = problem {
        _ = try lease.acquire([resident.piece("a", of: warm[2])], warm[2])
      }
      #expect(problem?.reason == .budget)
      #expect(store.accounts.amount(of: .memory) == charged)
    }
    // A smaller one still fits, and the refused one fits once there is room.
    _ = try lease.acquire([resident.piece("b", of: warm[2])], warm[2])
    #expect(store.figures.counters.evictions == 0)
    #expect(store.residents.count == 3)
    _ = granted
  }

  @Test func `a request that can never fit evicts nothing`() throws {
    let store = Store(share: 1_000_000, lingerMilliseconds: 60_000)
    try hold(Self.warm(1), in: store)
    let warm = try Warm(BundleWriter())
    try BundleFile.truncate(warm.bundle.index, to: 1 << 40)
    let problem = problem { _ = try warm.open(store) }
    #expect(problem?.reason == .unsupported || problem?.reason == .budget)
    #expect(store.residents.count == 1)
    #expect(store.figures.counters.evictions == 0)
  }

  @Test func `the charge of a failed load is refunded`() throws {
    var writer = BundleWriter()
    writer.add("bad", dtype: 4, [1 << 20], [UInt8](repeating: 1, count: 1 << 20))
    writer.change("bad") { $0.checksum ^= 1 }
    let warm = try Warm(writer)
    let store = Store(share: 3 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let charged = store.accounts.amount(of: .memory)
    for _ in 0..<5 {
      let problem = problem {
        _ = try lease.acquire([lease.resident.piece("bad", of: warm)], warm)
      }
      #expect(problem?.reason == .checksumMismatch)
      #expect(store.accounts.amount(of: .memory) == charged)
    }
    #expect(store.figures.counters.arenas == 0)
  }

  @Test func `the axes of a piece are charged`() throws {
    var writer = BundleWriter()
    let ones = Array(repeating: 1, count: 200)
    writer.add("x", dtype: 4, [2] + ones, [1, 2])
    let warm = try Warm(writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let charged = store.accounts.amount(of: .memory)
    let slice = TensorSlice(starts: Array(repeating: 0, count: 201), counts: [1] + ones)
    let places = try lease.acquire(
      [lease.resident.piece("x", slice, of: warm)], warm)
    let kept = store.accounts.amount(of: .memory) - charged
    #expect(kept == pages(places[0].arena.arena.fileByteCount + 200 + 16 * 201))
  }

  @Test func `an arena of nearly 2^63 bytes is over the budget, and does not overflow`() throws {
    let directory = try TemporaryDirectory()
    var writer = SavedSlicesWriter()
    writer.add("x", dtype: 4, [.max], .varints(7, [1]))
    let tables = try writer.write(to: directory.path)
    let files = try FileSet(
      tables.map { (FileRole.whole, try File(opening: FilePath($0))) }, openedBy: 1000)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let lease = try store.open(files, label: "test", for: .patient)
    let placed = try lease.resident.checkpoint.placement(
      of: 0, nil, PlacementOptions(), in: files)
    guard case .piece(let piece) = placed else { throw Problem(.system, "a file's bytes") }
    let problem = problem {
      _ = try lease.acquire(
        runs: [], pieces: [piece], from: files, for: .patient)
    }
    #expect(problem?.reason == .budget)
  }

  @Test func `planning strings is charged while it lasts`() throws {
    var writer = BundleWriter()
    writer.add("s", strings: Array(repeating: [], count: 20_000), [20_000])
    let warm = try Warm(writer)
    // The piece would fit, with 8 bytes for each empty string, but planning it takes as much again.
    let tight = Store(share: 240_000, lingerMilliseconds: 60_000)
    let lease = try warm.open(tight)
    let charged = tight.accounts.amount(of: .memory)
    let problem = problem {
      _ = try lease.acquire([lease.resident.piece("s", of: warm)], warm)
    }
    #expect(problem?.reason == .budget)
    #expect(tight.accounts.amount(of: .memory) == charged)
    let wide = Store(share: 4_000_000, lingerMilliseconds: 60_000)
    let other = try warm.open(wide)
    let before = wide.accounts.amount(of: .memory)
    let places = try other.acquire([other.resident.piece("s", of: warm)], warm)
    #expect(
      wide.accounts.amount(of: .memory) == before + pages(places[0].arena.arena.fileByteCount + 200)
    )
  }

  private func pages(_ byteCount: Int) -> Int { (byteCount + 4095) & ~4095 }

  /// Opens a checkpoint, makes its large piece, and closes it.
  private func hold(_ warm: Warm, as label: String = "test", in store: Store) throws {
    let lease = try warm.open(store, as: label)
    _ = try lease.acquire([lease.resident.piece("a", of: warm)], warm)
    // The leases end at different times, on a clock of nanoseconds.
    _ = lease
    rest(milliseconds: 2)
  }

  @Test func `a refusal says what takes the user's memory, and is counted`() throws {
    let store = Store(share: 1_000_000, lingerMilliseconds: 60_000)
    let first = try Self.warm(1)
    let held = try first.open(store, as: "/models/first")
    let pinned = try Self.warm(2)
    let other = try pinned.open(store, as: "/models/pinned")
    store.pin(other)
    _ = try other.acquire([other.resident.piece("a", of: pinned)], pinned)
    let third = try Self.warm(3)
    let wanted = try third.open(store, as: "/models/third")
    let client = try held.acquire([held.resident.piece("a", of: first)], first)[0]
    let file = File(try client.arena.grant(to: 1000))
    let error = #expect(throws: Problem.self) {
      try wanted.acquire([wanted.resident.piece("a", of: third)], third)
    }
    let message = error?.message ?? ""
    #expect(message.contains("; most of that is for /models/"))
    #expect(message.contains("/models/first (4") && message.contains(", 1 lease)"))
    #expect(message.contains("/models/pinned (4") && message.contains(", pinned)"))
    #expect(store.figures.counters.refusals == 1)
    withExtendedLifetime(file) {}
  }
}
