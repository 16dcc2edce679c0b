import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Which bytes of files stay in the page cache.
@Suite struct WarmFileTests {
  private static let byteCount = 8 << 20

  /// Verifies a tensor of 8 MiB that is not cached; returns how much of it is cached then.
  private func cachedByteCount(warmFileLimit: Int) throws -> Int {
    var writer = BundleWriter()
    writer.addZeros("large", dtype: 4, [WarmFileTests.byteCount])
    let warm = try Warm(writer)
    let store = Store(
      budget: 1 << 20, lingerMilliseconds: 0, warmFileLimit: warmFileLimit)
    let lease = try warm.open(store)
    _ = try lease.acquire(
      runs: [.whole(0)], pieces: [], from: warm.files(), for: .patient)
    #expect(lease.resident.holdings.verifiedByteCount == WarmFileTests.byteCount)
    return try PageCache.byteCount(of: warm.bundle.shards[0])
  }

  @Test func `a file that was verified stays in memory`() throws {
    #expect(try cachedByteCount(warmFileLimit: 16 << 20) == WarmFileTests.byteCount)
  }

  @Test func `a file beyond the warm limit does not stay in memory`() throws {
    #expect(try cachedByteCount(warmFileLimit: 4 << 20) <= 1 << 20)
  }

  // MARK: Runs that are in arenas

  private static let shape = [2, 4 << 20]

  /// A store that has a tensor of two rows, each half of 8 MiB.
  private func open() throws -> (Warm, Lease) {
    var writer = BundleWriter()
    writer.addZeros("large", dtype: 4, Self.shape)
    let warm = try Warm(writer)
    let store = Store(budget: 1 << 30, lingerMilliseconds: 0, warmFileLimit: 1 << 30)
    return (warm, try warm.open(store))
  }

  /// Fills an arena with columns of the tensor; returns how much of the file is cached then.
  private func cachedByteCount(_ warm: Warm, _ lease: Lease, copying columns: Range<Int>?) throws
    -> Int
  {
    let slice = columns.map {
      TensorSlice(starts: [0, $0.lowerBound], counts: [2, $0.count])
    }
    let piece = try lease.resident.piece("large", slice, of: warm)
    _ = try lease.acquire(runs: [], pieces: [piece], from: warm.files(), for: .patient)
    return try PageCache.byteCount(of: warm.bundle.shards[0])
  }

  @Test func `bytes that were copied to an arena do not stay in the page cache`() throws {
    let (warm, lease) = try open()
    #expect(try cachedByteCount(warm, lease, copying: nil) == 0)
    #expect(lease.resident.holdings.arenaByteCount >= Self.byteCount)
  }

  @Test func `a file stays in the page cache until all of it is in arenas`() throws {
    let (warm, lease) = try open()
    #expect(try cachedByteCount(warm, lease, copying: 0..<1 << 20) == Self.byteCount)
    #expect(try cachedByteCount(warm, lease, copying: 1 << 20..<3 << 20) == Self.byteCount)
    #expect(try cachedByteCount(warm, lease, copying: 3 << 20..<4 << 20) == 0)
  }

  @Test func `a file that a client has as a region stays in the page cache`() throws {
    let (warm, lease) = try open()
    _ = try lease.acquire(runs: [.whole(0)], pieces: [], from: warm.files(), for: .patient)
    #expect(try cachedByteCount(warm, lease, copying: nil) == Self.byteCount)
  }
}
