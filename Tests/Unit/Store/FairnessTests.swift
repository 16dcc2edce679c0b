import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// One user's loads do not delay another's, and large loads do not delay small ones.
@Suite struct FairnessTests {
  private static let (alice, bob): (UInt32, UInt32) = (1000, 1001)

  /// A tensor that takes long to read, and a small one.
  private static var slow: BundleWriter {
    var writer = BundleWriter()
    writer.add("small", dtype: 1, [4], floats(4))
    writer.addSparse("slow", gibibytes: 1)
    return writer
  }

  private static var small: BundleWriter {
    var writer = BundleWriter()
    writer.add("small", dtype: 1, [4], floats(4))
    return writer
  }

  /// Makes a user verify the slow tensors of checkpoints until the callers hang up.
  private final class Loads {
    private let sockets: [(Socket, Socket)]
    private let crew: Crew<Problem?>

    init(_ warm: [Warm], by uid: UInt32, in store: Store) throws {
      let sockets = try warm.map { _ in try Socket.pair() }
      self.sockets = sockets
      crew = try Crew(warm.count) { number in
        problem {
          let caller = Caller(sockets[number].0, until: .never)
          let lease = try warm[number].open(store, by: uid)
          let slow = lease.resident.checkpoint.catalog.position(of: "slow") ?? 0
          while true {
            try lease.verifyAgain([.whole(slow)], from: warm[number].files(), for: caller)
          }
        }
      }
    }

    func end() throws -> [Problem?] {
      for (_, peer) in sockets { peer.shutDown(writingToo: true) }
      return try crew.outcomes()
    }
  }

  @Test func `a user loads while another one has more loads than may run`() throws {
    let slow = try (0..<6).map { _ in try Warm(Self.slow) }
    let small = try Warm(Self.small)
    let store = Store(budget: 1 << 24, lingerMilliseconds: 60_000, loadsPerUser: 2)
    let loads = try Loads(slow, by: Self.alice, in: store)
    #expect(eventually { store.figures.counters.loads >= 2 })
    // More than two loads of this user wait, but none of another user.
    let before = store.figures.counters.loads
    let lease = try small.open(store, by: Self.bob)
    let places = try lease.acquire([lease.resident.piece("small", of: small)], small)
    #expect(places.count == 1)
    #expect(store.figures.counters.loads - before >= 1)
    #expect(try loads.end().allSatisfy { $0?.reason == .cancelled })
  }

  @Test func `a call that waits for a slot can give up, and the next gets the slot`() throws {
    let slow = try (0..<2).map { _ in try Warm(Self.slow) }
    let small = try Warm(Self.small)
    let store = Store(budget: 1 << 24, lingerMilliseconds: 60_000, loadsPerUser: 2)
    let loads = try Loads(slow, by: Self.alice, in: store)
    #expect(eventually { store.figures.counters.loads >= 2 })
    let hasty = Caller(nil, until: .after(milliseconds: 20))
    #expect(problem { _ = try small.open(store, by: Self.alice, for: hasty) }?.reason == .deadline)
    #expect(store.residents.count == 2)
    _ = try loads.end()
    _ = try small.open(store, by: Self.alice)
  }

  @Test func `a small tensor does not wait for the largest tensor of the same load`() throws {
    let warm = try Warm(Self.slow)
    let store = Store(budget: 1 << 24, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let catalog = lease.resident.checkpoint.catalog
    let (small, slow) = (
      try #require(catalog.position(of: "small")), try #require(catalog.position(of: "slow"))
    )
    let (near, far) = try Socket.pair()
    let crew = try Crew { _ in
      problem {
        _ = try lease.acquire(
          runs: [.whole(slow), .whole(small)], pieces: [], from: warm.files(),
          for: Caller(near, until: .never))
      }
    }
    // The small one is ready while the large one is read.
    #expect(eventually { lease.resident.holdings.verifiedByteCount == 16 })
    _ = try lease.acquire(
      runs: [.whole(small)], pieces: [], from: warm.files(), for: .patient)
    far.shutDown(writingToo: true)
    _ = try crew.outcomes()
    #expect(lease.resident.holdings.verifiedByteCount >= 16)
  }
}
