import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Pinned checkpoints that are locked into memory.
///
/// Serialized, because they look at what this process has locked.
@Suite(.serialized) struct PinLockTests {
  private static let alice: UInt32 = 1000
  private static let byteCount = 300_000

  private let warm: Warm

  init() throws {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4, 4], floats(16))
    writer.add("b", dtype: 4, [Self.byteCount], [UInt8](repeating: 7, count: Self.byteCount))
    warm = try Warm(writer)
  }

  private func store(_ shelf: Shelf? = nil, budget: Int = 1 << 24, lockLimit: Int = .max) -> Store {
    Store(
      budget: budget, lingerMilliseconds: 60_000, descriptors: shelf?.next(), lockLimit: lockLimit)
  }

  /// Reads the checkpoint, as `preload` does, and locks it.
  private func pin(in store: Store, sealed: Bool = false) throws {
    let lease = try warm.open(store, by: Self.alice)
    if sealed {
      _ = try lease.acquire([lease.resident.piece("b", of: warm)], warm)
    } else {
      _ = try lease.acquire(
        runs: [.whole(0), .whole(1)], pieces: [], from: warm.files(), for: .patient)
    }
    let lock = try store.lock(lease, warm.files(openedBy: Self.alice), for: .patient)
    store.pin(lease)
    store.keep(lock, of: lease)
  }

  private func unpin(in store: Store) throws {
    try store.unpin(try #require(store.residents.first).resident.generation.description)
  }

  /// The bytes that this process has locked.
  private func locked() throws -> Int {
    let bytes = try File(opening: "/proc/self/status").readToEnd(limit: 1 << 16) ?? []
    let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("VmLck:") }
    return try #require(line?.split(separator: " ").compactMap { Int($0) }.first) << 10
  }

  @Test(arguments: [false, true])
  func `the files and arenas of a pin are locked until it ends`(sealed: Bool) throws {
    let before = try locked()
    let store = store()
    try pin(in: store, sealed: sealed)
    let resident = try #require(store.residents.first?.resident)
    #expect(resident.lockedByteCount >= Self.byteCount)
    // Sanitizers replace mlock by a function that does nothing.
    #expect(try locked() - before >= (ProcessMemory.isSanitized ? 0 : Self.byteCount))
    try unpin(in: store)
    #expect(resident.lockedByteCount == 0)
    #expect(try locked() == before)
  }

  @Test func `the pages of files are charged to the user who pinned, until the pin ends`() throws {
    let store = store()
    try pin(in: store)
    #expect(store.accounts.amount(of: .memory, for: Self.alice) > Self.byteCount)
    try unpin(in: store)
    #expect(store.accounts.amount(of: .memory, for: Self.alice) < Self.byteCount)
  }

  @Test func `a lock beyond the budget is refused, and nothing stays locked`() throws {
    let before = try locked()
    let store = store(budget: Self.byteCount)
    let error = #expect(throws: Problem.self) { try pin(in: store) }
    #expect(error?.reason == .budget || error?.reason == .quota)
    #expect(store.residents.allSatisfy { !$0.isPinned })
    #expect(try locked() == before)
  }

  @Test func `a lock beyond the process's limit is refused, and the message names the limit`()
    throws
  {
    let before = try locked()
    let store = store(lockLimit: Self.byteCount / 2)
    let error = #expect(throws: Problem.self) { try pin(in: store) }
    #expect(error?.reason == .quota)
    #expect(error?.message.contains("(RLIMIT_MEMLOCK, LimitMEMLOCK= in its unit)") == true)
    #expect(store.residents.allSatisfy { !$0.isPinned })
    #expect(try locked() == before)
  }

  @Test func `files on a file system of a user's own are not locked`() throws {
    let store = store()
    let files = try FileSet(
      warm.files().members.map { ($0.role, $0.file) } + [
        (.shard(0, of: 7), try File(opening: "/proc/version"))
      ], openedBy: Self.alice)
    let lease = try store.open(files, label: "test", for: .patient)
    let error = #expect(throws: Problem.self) { try store.lock(lease, files, for: .patient) }
    #expect(error?.reason == .unsupported)
  }

  @Test func `a locked file may be truncated: the daemon never touches its mapping`() throws {
    let store = store()
    try pin(in: store)
    try BundleFile.truncate(warm.bundle.shards[0], to: 0)
    store.sweep()
    try unpin(in: store)
    #expect(store.residents.allSatisfy { $0.resident.lockedByteCount == 0 })
  }

  @Test func `a lock outlives the process, with all files of the checkpoint`() throws {
    let shelf = Shelf()
    try pin(in: store(shelf))
    #expect(shelf.count("file") == 2)
    for _ in 0..<2 {
      let next = store(shelf)
      #expect(next.restore(try shelf.passed()).complaints == [])
      let resident = try #require(next.residents.first?.resident)
      #expect(eventually { resident.lockedByteCount >= Self.byteCount })
      #expect(next.takeLostNames() == [])
    }
    let last = store(shelf)
    _ = last.restore(try shelf.passed())
    try unpin(in: last)
    #expect(shelf.count("file") == 1)
  }

  @Test func `the next process says why it could not lock a checkpoint again`() throws {
    let shelf = Shelf()
    try pin(in: store(shelf))
    let next = store(shelf, lockLimit: 0)
    _ = next.restore(try shelf.passed())
    var lost: [String] = []
    #expect(
      eventually {
        lost += next.takeLostNames()
        return !lost.isEmpty
      })
    #expect(lost.first?.hasPrefix("checkpoint test is no longer locked into memory: ") == true)
    #expect(next.residents.map(\.isPinned) == [true])
  }
}
