import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Checkpoints that stay because an administrator pinned them, and eviction by hand.
@Suite struct PinTests {
  private static let alice: UInt32 = 1000
  private static let bob: UInt32 = 1001

  private static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4, 4], floats(16))
    return writer
  }

  /// Opens a checkpoint, pins it and lets it go; returns its generation.
  private func pin(_ warm: Warm, _ store: Store, by uid: UInt32 = alice) throws -> String {
    let lease = try warm.open(store, by: uid)
    store.pin(lease)
    return lease.resident.generation.description
  }

  @Test func `a pinned checkpoint stays after its last lease, until it is unpinned`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 0)
    let generation = try pin(warm, store)
    #expect(store.residents.map(\.isPinned) == [true])
    #expect(store.residents.map(\.leaseCount) == [0])
    #expect(store.leaseCount == 0)
    store.sweep()
    #expect(store.evictAll() == 0)
    _ = try warm.open(store)
    #expect(store.figures.counters.indexesParsed == 1)
    try store.unpin(generation)
    #expect(store.residents.isEmpty)
    #expect(store.accounts.amount(of: .memory) == 0)
  }

  @Test func `an unpinned checkpoint lingers, and leases keep it`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let generation = try pin(warm, store)
    do {
      let lease = try warm.open(store)
      try store.unpin(generation)
      #expect(store.residents.map(\.leaseCount) == [1])
      #expect(store.residents.map(\.unusedSince) == [nil])
      _ = consume lease
    }
    store.sweep()
    #expect(store.residents.count == 1)
    #expect(store.residents.allSatisfy { $0.unusedSince != nil })
  }

  @Test func `a second pin changes nothing, and one unpin ends both`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 0)
    let generation = try pin(warm, store)
    #expect(try pin(warm, store, by: Self.bob) == generation)
    try store.unpin(generation)
    #expect(store.residents.isEmpty)
    let error = #expect(throws: Problem.self) { try store.unpin(generation) }
    #expect(error?.reason == .checkpointNotFound)
  }

  @Test func `the user who pinned pays, not one whose lease has ended`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    do {
      let first = try warm.open(store, by: Self.bob)
      _ = try pin(warm, store, by: Self.alice)
      #expect(store.accounts.amount(of: .memory, for: Self.bob) > 0)
      _ = consume first
    }
    #expect(store.accounts.amount(of: .memory, for: Self.bob) == 0)
    #expect(store.accounts.amount(of: .memory, for: Self.alice) > 0)
  }

  @Test func `no user's need for room takes a pinned checkpoint, or its arenas`() throws {
    let store = Store(share: 256 << 10, lingerMilliseconds: 60_000)
    let warm = try Warm(Self.writer)
    let lease = try warm.open(store)
    let piece = try lease.resident.piece("a", of: warm)
    _ = try lease.acquire([piece], warm)
    store.pin(lease)
    var large = BundleWriter()
    large.add("t", dtype: 4, [512 << 10], [UInt8](repeating: 1, count: 512 << 10))
    let other = try Warm(large)
    let wanted = try other.open(store)
    let error = #expect(throws: Problem.self) {
      _ = try wanted.acquire([wanted.resident.piece("t", of: other)], other)
    }
    #expect(error?.reason == .budget)
    #expect(lease.resident.holdings.arenaCount == 1)
  }

  @Test func `a pinned checkpoint whose index was deleted goes`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    _ = try pin(warm, store)
    try TemporaryDirectory.remove(warm.bundle.index)
    store.sweep()
    #expect(eventually { store.residents.isEmpty })
    #expect(eventually { store.takeLostPins().count == 1 })
    #expect(store.takeLostPins().isEmpty)
  }

  @Test(arguments: [false, true])
  func `a pinned checkpoint with a file that was overwritten goes`(isIndex: Bool) throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    _ = try pin(warm, store)
    store.sweep()
    #expect(!store.residents.isEmpty)
    _ = try File(creating: FilePath(isIndex ? warm.bundle.index : warm.bundle.shards[0]))
    // Data files are looked at less often.
    store.warmUpPins()
    #expect(
      eventually {
        store.sweep()
        return store.residents.isEmpty
      })
    #expect(eventually { store.takeLostPins().count == 1 })
  }

  @Test func `a checkpoint that was not pinned loses no pin when its index is deleted`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    _ = try warm.open(store)
    try TemporaryDirectory.remove(warm.bundle.index)
    store.sweep()
    #expect(eventually { store.residents.isEmpty })
    #expect(store.takeLostPins().isEmpty)
  }

  @Test func `a checkpoint is evicted by hand unless it is leased or pinned`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let generation = try pin(warm, store)
    func reason(_ generation: String) -> Reason? {
      #expect(throws: Problem.self) { try store.evict(generation) }?.reason
    }
    #expect(reason(generation) == .inUse)
    do {
      let lease = try warm.open(store)
      try store.unpin(generation)
      #expect(reason(generation) == .inUse)
      _ = consume lease
    }
    #expect(reason("0000000000000000") == .checkpointNotFound)
    try store.evict(generation)
    #expect(store.residents.isEmpty)
    #expect(store.accounts.amount(of: .memory) == 0)
  }

  /// Opens a checkpoint with a file on a file system that users do not share, so that each user's
  /// checkpoint has the same digits but is a separate one.
  private func openSeparately(
    _ warm: Warm, _ strange: File, in store: Store, by uid: UInt32
  ) throws -> Lease {
    var files = try warm.files(openedBy: uid).members.map { (role: $0.role, file: $0.file) }
    files.append((.shard(0, of: 7), strange))
    return try store.open(
      try FileSet(files, openedBy: uid), label: "test", for: .patient)
  }

  private static let others: Range<UInt32> = 1001..<1009

  @Test func `an unpin ends the pin of its generation, whatever other checkpoints have its digits`()
    throws
  {
    let warm = try Warm(Self.writer)
    let strange = try File(opening: "/proc/version")
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let pinned = try openSeparately(warm, strange, in: store, by: Self.alice)
    let generation = pinned.resident.generation.description
    store.pin(pinned)
    let others = try Self.others.map { try openSeparately(warm, strange, in: store, by: $0) }
    #expect(others.allSatisfy { $0.resident.generation.description == generation })
    #expect(store.residents.count == 9)
    try store.unpin(generation)
    #expect(store.residents.allSatisfy { !$0.isPinned })
    _ = consume others
  }

  @Test func `eviction finds the checkpoint that nothing keeps among those with its digits`()
    throws
  {
    let warm = try Warm(Self.writer)
    let strange = try File(opening: "/proc/version")
    let store = Store(share: 1 << 20, lingerMilliseconds: 60_000)
    let generation = try openSeparately(warm, strange, in: store, by: Self.alice)
      .resident.generation.description
    for uid in Self.others {
      store.pin(try openSeparately(warm, strange, in: store, by: uid))
    }
    #expect(try store.evict(generation) == 1)
    #expect(store.residents.count == 8)
    #expect(throws: Problem.self) { try store.evict(generation) }
    try store.unpin(generation)
    #expect(try store.evict(generation) == 8)
    #expect(store.accounts.amount(of: .memory) == 0)
  }
}
