import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// What is in the page cache now, beside what was verified.
@Suite struct WarmthTests {
  private static let byteCount = 8 << 20

  private let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000)

  /// A tensor of 8 MiB, and the bytes of it that the page cache has.
  private static func warm() throws -> Warm {
    var writer = BundleWriter()
    writer.add("t", dtype: 4, [byteCount], [UInt8](repeating: 7, count: byteCount))
    let warm = try Warm(writer)
    try PageCache.drop(warm.bundle.shards[0])
    return warm
  }

  /// Verifies the tensor for a client that reads it in its file.
  private func verified(_ warm: Warm) throws -> Lease {
    let lease = try warm.open(store)
    _ = try lease.acquire(runs: [.whole(0)], pieces: [], from: warm.files(), for: .patient)
    return lease
  }

  private func look() -> Figures.Holdings {
    store.lookAtCache(of: store.residents)
    return store.figures.holdings
  }

  @Test func `what was verified and left in the page cache is warm`() throws {
    let lease = try verified(try Self.warm())
    #expect(lease.resident.holdings.cachedByteCount == Self.byteCount)
    #expect(look().warmByteCount == Self.byteCount)
  }

  @Test func `what the kernel took is verified, but not warm, after the next look`() throws {
    let warm = try Self.warm()
    let lease = try verified(warm)
    try PageCache.drop(warm.bundle.shards[0])
    #expect(eventually { look().cachedByteCount == 0 })
    #expect(lease.resident.holdings.cachedByteCount == 0)
    #expect(lease.resident.holdings.verifiedByteCount == Self.byteCount)
  }

  @Test func `what was dropped because arenas have it is verified, but counted once`() throws {
    let warm = try Self.warm()
    let lease = try warm.open(store)
    let piece = try lease.resident.piece("t", of: warm)
    _ = try lease.acquire([piece], warm)
    #expect(lease.resident.holdings.verifiedByteCount == Self.byteCount)
    #expect(lease.resident.holdings.cachedByteCount == 0)
    #expect(store.figures.holdings.warmByteCount == lease.resident.holdings.arenaByteCount)
  }

  @Test func `damage and the end of a checkpoint take back what was counted`() throws {
    let warm = try Self.warm()
    do {
      let lease = try verified(warm)
      try BundleFile.flip(warm.bundle.shards[0], at: 0)
      #expect(throws: Problem.self) {
        try lease.verifyAgain([.whole(0)], from: warm.files(), for: .patient)
      }
      #expect(lease.resident.holdings.cachedByteCount == 0)
    }
    #expect(store.evictAll() == 1)
    #expect(store.figures.holdings.warmByteCount == 0)
  }

  @Test func `a pinned checkpoint is warmed up again when the kernel took its pages`() throws {
    let warm = try Self.warm()
    do { store.pin(try verified(warm)) }
    store.warmUpPins()
    #expect(eventually { store.reaper.waitingCount(for: 1000) == 0 })
    #expect(store.takeRewarmed().isEmpty)
    try PageCache.drop(warm.bundle.shards[0])
    #expect(
      eventually {
        store.warmUpPins()
        return store.figures.counters.rewarmedPins > 0
      })
    #expect(try PageCache.byteCount(of: warm.bundle.shards[0]) == Self.byteCount)
    #expect(store.takeRewarmed().map(\.byteCount) == [Self.byteCount])
    #expect(look().cachedByteCount == Self.byteCount)
  }

  @Test func `a pinned checkpoint is not warmed up where memory is short`() throws {
    let store = Store(budget: 1 << 24, lingerMilliseconds: 60_000, available: { 4096 })
    let warm = try Self.warm()
    do {
      let lease = try warm.open(store)
      _ = try lease.acquire(runs: [.whole(0)], pieces: [], from: warm.files(), for: .patient)
      store.pin(lease)
    }
    try PageCache.drop(warm.bundle.shards[0])
    store.warmUpPins()
    #expect(eventually { store.figures.holdings.cachedByteCount == 0 })
    #expect(store.figures.counters.rewarmedPins == 0)
  }

  @Test func `the files of a checkpoint are closed once one of them is deleted`() throws {
    let warm = try Self.warm()
    let lease = try verified(warm)
    try TemporaryDirectory.remove(warm.bundle.shards[0])
    #expect(
      eventually {
        _ = look()
        return (try? warm.directory.openFiles())?.allSatisfy { !$0.contains(".data") } ?? false
      })
    _ = consume lease
  }
}
