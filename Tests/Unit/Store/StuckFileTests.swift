import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Files that do not answer cost only their own user.
@Suite struct StuckFileTests {
  private static let (alice, bob): (UInt32, UInt32) = (1000, 1001)

  private static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4], floats(4))
    return writer
  }

  /// Blocks the thread that touches a user's files, as a file that does not answer would.
  private final class Hang: Sendable {
    private let isOver = Monitor(false)

    init(of uid: UInt32, in store: Store) {
      let hasBegun = Monitor(false)
      store.reaper.run(for: uid) { [isOver] in
        hasBegun.notifying { $0 = true }
        _ = isOver.wait { $0 ? true : nil }
      }
      // Later work waits behind it.
      _ = hasBegun.wait { $0 ? true : nil }
    }

    func end() { isOver.notifying { $0 = true } }
  }

  @Test func `dropping checkpoints neither waits for their files nor refunds them early`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(budget: 1 << 20, lingerMilliseconds: 60_000)
    let hang = Hang(of: Self.alice, in: store)
    defer { hang.end() }
    try letGo(warm, store, by: Self.alice)
    #expect(store.evictAll() == 1)
    // The hanging thread has to close the files, so they stay charged.
    #expect(store.residents.isEmpty)
    rest(milliseconds: 50)
    #expect(try warm.directory.openFiles().count == 2)
    #expect(store.accounts.amount(of: .descriptors, for: Self.alice) == 2)
    hang.end()
    #expect(eventually { (try? warm.directory.openFiles()) == [] })
    #expect(eventually { store.accounts.amount(of: .descriptors) == 0 })
  }

  @Test func `a sweep neither waits for a file nor examines the same file repeatedly`() throws {
    let (stuck, other) = (try Warm(Self.writer), try Warm(Self.writer))
    let store = Store(budget: 1 << 20, lingerMilliseconds: 60_000)
    let hang = Hang(of: Self.alice, in: store)
    defer { hang.end() }
    try letGo(stuck, store, by: Self.alice)
    try letGo(other, store, by: Self.bob)
    for warm in [stuck, other] { try TemporaryDirectory.remove(warm.bundle.index) }
    for _ in 0..<100 { store.sweep() }
    #expect(store.reaper.waitingCount(for: Self.alice) == 1)
    // Meanwhile the other user's checkpoint is found deleted.
    #expect(eventually { store.residents.map(\.resident.openedBy) == [Self.alice] })
    hang.end()
    #expect(eventually { store.residents.isEmpty })
    #expect(store.figures.counters.evictions == 2)
  }

  @Test func `a user with hanging files is refused more files, others are not`() throws {
    let warm = try (0..<5).map { _ in try Warm(Self.writer) }
    let store = Store(budget: 1 << 20, lingerMilliseconds: 60_000)
    store.accounts.limit(.descriptors, to: 8)
    let hang = Hang(of: Self.alice, in: store)
    defer { hang.end() }
    for index in 0..<3 { try letGo(warm[index], store, by: Self.alice) }
    // Room is made, but the files are not closed.
    #expect(problem { _ = try warm[3].open(store, by: Self.alice) }?.reason == .quota)
    _ = try warm[4].open(store, by: Self.bob)
    hang.end()
    #expect(eventually { store.accounts.amount(of: .descriptors, for: Self.alice) == 0 })
    _ = try warm[3].open(store, by: Self.alice)
  }

  private func letGo(_ warm: Warm, _ store: Store, by uid: UInt32) throws {
    _ = try warm.open(store, by: uid)
  }

  @Test func `a report does not wait for a file that does not answer`() throws {
    let warm = try Warm(Self.writer)
    let store = Store(budget: 1 << 20, lingerMilliseconds: 60_000)
    let lease = try warm.open(store, by: Self.alice)
    let hang = Hang(of: Self.alice, in: store)
    defer { hang.end() }
    // Otherwise the test would not end.
    store.lookAtCache(of: store.residents)
    _ = consume lease
  }
}
