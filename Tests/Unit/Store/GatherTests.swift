import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Pieces of chosen rows: how they are shared and charged.
@Suite struct GatherTests {
  private static func warm() throws -> Warm {
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [4, 1000], (0..<4000).map { UInt8($0 / 1000) })
    writer.add("b", dtype: 4, [16], [UInt8](repeating: 7, count: 16))
    return try Warm(writer)
  }

  private static func rows(_ indices: [Int]) -> Gather { Gather([Gather.Axis(0, indices)]) }

  @Test func `equal lists share a piece, and another list makes another piece`() throws {
    let warm = try Self.warm()
    let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000)
    let first = try warm.open(store)
    let second = try warm.open(store)
    func place(_ lease: Lease, _ indices: [Int]) throws -> PiecePlace {
      try lease.acquire(
        [lease.resident.piece("a", gather: Self.rows(indices), of: warm)], warm)[0]
    }
    let (one, same) = (try place(first, [3, -1, 3]), try place(second, [3, -1, 3]))
    #expect(one.arena === same.arena && one.offset == same.offset)
    #expect(one.byteCount == 3000)
    #expect(first.resident.holdings.arenaCount == 1)
    #expect(store.figures.counters.loads == 1)
    let other = try place(second, [3, -1, 2])
    #expect(other.arena !== one.arena)
    var bytes = [UInt8](repeating: 9, count: 3000)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try other.arena.arena.read(at: other.offset, into: &raw)
    let rows = [3, 0, 2].flatMap { [UInt8](repeating: $0, count: 1000) }
    #expect(bytes == rows)
  }

  @Test func `lists are charged as long as their arena exists`() throws {
    let warm = try Self.warm()
    let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let before = store.accounts.amount(of: .memory)
    let gather = Self.rows(Array(repeating: Gather.missing, count: 100_000))
    let piece = try lease.resident.piece("b", gather: gather, of: warm)
    let places = try lease.acquire([piece], warm)
    #expect(places[0].byteCount == 100_000)
    #expect(
      store.accounts.amount(of: .memory) == before + (1_700_600 + 4095) & ~4095)
    #expect(store.evictAll() == 0)
  }

  @Test func `a view's axes are charged with its piece`() throws {
    let warm = try Self.warm()
    let lease = try warm.open(Store(budget: 1 << 30, lingerMilliseconds: 60_000))
    let plain = try lease.resident.piece("a", of: warm)
    let turned = try lease.resident.piece("a", view: View(axes: [1, 0]), of: warm)
    #expect(plain.listByteCount == 0 && turned.listByteCount >= 2 * 8)
  }

  @Test func `one row in very many places exceeds the budget before the tensor is read`()
    throws
  {
    let warm = try Self.warm()
    let store = Store(share: 20 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let before = store.accounts.amount(of: .memory)
    let gather = Self.rows(Array(repeating: 2, count: 100_000))
    let piece = try lease.resident.piece("a", gather: gather, of: warm)
    let problem = #expect(throws: Problem.self) { try lease.acquire([piece], warm) }
    #expect(problem?.reason == .budget)
    #expect(lease.resident.holdings.verifiedByteCount == 0)
    #expect(store.accounts.amount(of: .memory) == before)
  }

  @Test func `small arenas with long lists are not merged with others`() throws {
    let warm = try Self.warm()
    let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    var places: [PiecePlace] = []
    for count in 10_000..<10_020 {
      let gather = Self.rows(Array(repeating: 1, count: count))
      places += try lease.acquire(
        [lease.resident.piece("b", gather: gather, of: warm)], warm)
    }
    // Too many small arenas are merged when one more is made.
    places += try lease.acquire([lease.resident.piece("b", of: warm)], warm)
    #expect(lease.resident.holdings.arenaCount == 21)
    #expect(places[20].arena.arena.byteCount == 16)
  }
}
