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
}
