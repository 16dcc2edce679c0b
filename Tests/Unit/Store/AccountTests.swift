import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Which user pays, how much one user may have, and when it is refunded.
@Suite struct AccountTests {
  private static let (alice, bob): (UInt32, UInt32) = (1000, 1001)

  private static var writer: BundleWriter {
    var writer = BundleWriter()
    for name in ["a", "b", "c"] {
      writer.add(.init(name), dtype: 4, [300_000], [UInt8](repeating: 1, count: 300_000))
    }
    return writer
  }

  // MARK: Shares

  @Test(arguments: Resource.allCases)
  func `one user gets three quarters of what the others leave, for every resource`(
    _ resource: Resource
  ) throws {
    let accounts = Accounts(memory: 1600)
    accounts.limit(resource, to: 1600)
    let (alice, bob) = (Account(Self.alice, in: accounts), Account(Self.bob, in: accounts))
    try alice.take(1200, of: resource)
    #expect(throws: Problem.self) { try alice.take(1, of: resource) }
    try bob.take(300, of: resource)
    #expect(throws: Problem.self) { try bob.take(1, of: resource) }
    #expect(accounts.amount(of: resource) == 1500)
    alice.giveBack(1200, of: resource)
    try bob.take(900, of: resource)
    bob.giveBack(1200, of: resource)
    #expect(accounts.amount(of: resource) == 0)
  }

  @Test func `a refusal reports what the user has and the user's share`() {
    let accounts = Accounts(memory: 1600)
    let problem = problem { try Account(Self.alice, in: accounts).take(1201, of: .memory) }
    #expect(problem?.reason == .budget)
    #expect(
      problem?.message
        == "no memory for 1.1 KiB: user 1000 has 0 B and may have 1.1 KiB, three quarters of what others "
        + "leave of 1.5 KiB (they have 0 B); see Budget in warmstartd.conf(5)")
  }

  @Test func `one user's arenas leave room for another's`() throws {
    let warm = try Warm(Self.writer)
    // Alice could have all three if they did not exceed her share.
    let store = Store(budget: 1_000_000, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let granted = try ["a", "b"].map { try grant($0, lease, warm, to: Self.alice) }
    #expect(problem { _ = try grant("c", lease, warm, to: Self.alice) }?.reason == .budget)
    let other = try Warm(Self.small)
    let bobs = try other.open(store, by: Self.bob)
    _ = try grant("x", bobs, other, to: Self.bob)
    _ = granted
  }

  private static var small: BundleWriter {
    var writer = BundleWriter()
    writer.add("x", dtype: 4, [60_000], [UInt8](repeating: 1, count: 60_000))
    return writer
  }

  // MARK: Who pays

  @Test func `the users who were granted an arena pay for it after its maker has left`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000)
    var alices: Lease? = try warm.open(store, by: Self.alice)
    let bobs = try warm.open(store, by: Self.bob)
    #expect(memory(of: Self.bob, in: store) == 0)
    let shared = try grant("a", #require(alices), warm, to: Self.alice)
    let again = try grant("a", bobs, warm, to: Self.bob)
    let alone = try grant("b", #require(alices), warm, to: Self.alice)
    let index = bobs.resident.checkpoint.memoryByteCount + Store.residentByteCount
    let arena = pages(300_200)
    #expect(memory(of: Self.alice, in: store) == index + 2 * arena)
    alices = nil
    #expect(memory(of: Self.bob, in: store) == index + arena)
    #expect(memory(of: Self.alice, in: store) == arena)
    _ = (shared, again, alone, alices)
  }

  @Test func `a user who comes back pays for what is made from then on`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000)
    let bobs = try warm.open(store, by: Self.bob)
    for name: Name in ["a", "b"] {
      let alices = try warm.open(store, by: Self.alice)
      _ = try alices.acquire([alices.resident.piece(name, of: warm)], warm)
    }
    #expect(memory(of: Self.alice, in: store) == 2 * pages(300_200))
    #expect(
      memory(of: Self.bob, in: store)
        == bobs.resident.checkpoint.memoryByteCount + Store.residentByteCount)
  }

  // MARK: Arenas that clients keep

  /// How a client has an arena.
  enum Hold: CaseIterable {
    case open, mapped, reference
  }

  @Test(arguments: Hold.allCases)
  func `an arena stays charged until no client has it`(_ hold: Hold) throws {
    let warm = try Warm(Self.writer)
    let store = Store(budget: 1 << 30, lingerMilliseconds: 0)
    var granted: File? = try {
      let lease = try warm.open(store)
      return try grant("a", lease, warm, to: Self.alice)
    }()
    var mapping: Mapping?
    if hold == .reference {
      // O_PATH needs no right to the file and can neither read nor map it, but keeps its memory.
      granted = try QuietChange.reference(to: #require(granted))
    }
    if hold == .mapped {
      let file = try #require(granted)
      mapping = try Mapping(
        file.descriptor, offset: 0, byteCount: 300_000)
      granted = nil
    }
    let arena = pages(300_200)
    store.sweep()
    #expect(store.residents.isEmpty)
    #expect(eventually { store.accounts.amount(of: .memory) == arena })
    #expect(store.kept.byteCount() == arena)
    #expect(store.kept.byteCount(ofUser: Self.alice) == arena)
    #expect(store.kept.byteCount(ofUser: Self.bob) == 0)
    (granted, mapping) = (nil, nil)
    store.sweep()
    #expect(store.kept.byteCount() == 0)
    #expect(store.accounts.amount(of: .memory) == 0)
    #expect(eventually { store.accounts.amount(of: .descriptors) == 0 })
    _ = (granted, mapping)
  }

  @Test func `arenas that clients keep count against their share`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 800_000, lingerMilliseconds: 0)
    let granted = try ["a", "b"].map { name in
      try grant(name, warm.open(store), warm, to: Self.alice)
    }
    let lease = try warm.open(store)
    let refusal = problem { _ = try grant("c", lease, warm, to: Self.alice) }
    #expect(refusal?.reason == .budget)
    let most = "; most of that is for arenas that the daemon dropped ("
    #expect(refusal?.message.contains(most) == true)
    _ = granted
  }

  // MARK: Room

  @Test func `unused arenas of a leased checkpoint can be dropped`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(share: 700_000, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    for name in ["a", "b", "c", "a"] { _ = try grant(name, lease, warm, to: Self.alice) }
    #expect(store.figures.counters.arenas == 4)
    #expect(lease.resident.holdings.arenaCount <= 2)
    #expect(store.figures.holdings.arenaCount == lease.resident.holdings.arenaCount)
  }

  @Test func `a user's own idle checkpoints go before those of others`() throws {
    let (own, others) = (try Warm(Self.small), try Warm(Self.small))
    let store = Store(budget: 300_000, lingerMilliseconds: 60_000)
    try hold(others, by: Self.bob, in: store)
    try hold(own, by: Self.alice, in: store)
    let needed = try Warm(Self.small)
    var writer = Self.small
    writer.add("y", dtype: 4, [70_000], [UInt8](repeating: 2, count: 70_000))
    let large = try Warm(writer)
    let lease = try large.open(store, by: Self.alice)
    let pieces = try ["x", "y"].map { try lease.resident.piece(Name($0), of: large) }
    _ = try lease.acquire(pieces, large)
    #expect(Set(store.residents.map(\.resident.openedBy)) == [Self.alice, Self.bob])
    #expect(store.residents.count == 2)
    _ = needed
  }

  private func hold(_ warm: Warm, by uid: UInt32, in store: Store) throws {
    let lease = try warm.open(store, by: uid)
    _ = try lease.acquire([lease.resident.piece("x", of: warm)], warm)
  }

  @Test func `small pieces share arenas, and keep their bytes`() throws {
    var writer = BundleWriter()
    let bytes = (0..<250).map { UInt8($0) }
    writer.add("x", dtype: 4, [250], bytes)
    let warm = try Warm(writer)
    let store = Store(share: 10 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    var granted: [File] = []
    for number in 0..<250 {
      let piece = try lease.resident.piece(
        "x", TensorSlice(starts: [number], counts: [1]), of: warm)
      let place = try lease.acquire([piece], warm)[0]
      granted.append(File(try place.arena.grant(to: Self.alice)))
      // Each piece has its own bytes, and so have all that were merged with it.
      #expect(try read(place) == [bytes[number]])
    }
    #expect(lease.resident.holdings.arenaCount <= 16)
    for number in 0..<250 {
      let piece = try lease.resident.piece(
        "x", TensorSlice(starts: [number], counts: [1]), of: warm)
      #expect(try read(lease.acquire([piece], warm)[0]) == [bytes[number]])
    }
    #expect(store.figures.counters.pieces == 250)
  }

  @Test func `memory that the machine lacks is not taken`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(
      budget: 1 << 22, lingerMilliseconds: 60_000, available: { 300_000 })
    let lease = try warm.open(store)
    let problem = problem { _ = try grant("a", lease, warm, to: Self.alice) }
    #expect(problem?.reason == .budget)
    #expect(problem?.message.contains("group, has too little left") == true)
    #expect(
      store.accounts.amount(of: .memory)
        == lease.resident.checkpoint.memoryByteCount + Store.residentByteCount)
  }

  @Test func `other users' unused arenas make room, too`() throws {
    let (warm, other) = (try Warm(Self.writer), try Warm(Self.writer))
    let store = Store(budget: 1_000_000, lingerMilliseconds: 60_000)
    let alices = try warm.open(store, by: Self.alice)
    for name in ["a", "b"] { _ = try grant(name, alices, warm, to: Self.alice) }
    let bobs = try other.open(store, by: Self.bob)
    _ = try grant("a", bobs, other, to: Self.bob)
    #expect(alices.resident.holdings.arenaCount < 2)
  }

  // MARK: Helpers

  private func grant(
    _ name: String, _ lease: Lease, _ warm: Warm, to uid: UInt32
  ) throws -> File {
    let piece = try lease.resident.piece(Name(name), of: warm)
    return File(try lease.acquire([piece], warm)[0].arena.grant(to: uid))
  }

  private func memory(of uid: UInt32, in store: Store) -> Int {
    store.accounts.amount(of: .memory, for: uid)
  }

  private func pages(_ byteCount: Int) -> Int { (byteCount + 4095) & ~4095 }

  private func read(_ place: PiecePlace) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: place.byteCount)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try place.arena.arena.read(at: place.offset, into: &raw)
    return bytes
  }
}
