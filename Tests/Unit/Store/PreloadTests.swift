import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Reading everything that a checkpoint stores, before jobs ask for it.
@Suite struct PreloadTests {
  private let store = Store(share: 64 << 20, lingerMilliseconds: 60_000)

  private static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4, 4], floats(16))
    writer.add("b", dtype: 1, [2, 4], floats(8))
    writer.add("cut", dtype: 1, [4], floats(4), slices: [[.init(0, 1)], [.init(1, 3)]])
    writer.add("s", strings: [[1, 2], [], [3]], [3])
    return writer
  }

  /// Preloads through files of its own.
  private func preload(
    _ warm: Warm, _ options: PlacementOptions = .init(), readsAgain: Bool = false,
    for caller: Caller = .patient, note: @escaping (Int, Int) -> Void = { _, _ in }
  ) throws -> (lease: Lease, preload: Preload) {
    let lease = try warm.open(store)
    var preload = Preload(
      lease, try warm.files(), options, readsAgain: readsAgain, for: caller, note: note)
    try preload.run()
    return (lease, preload)
  }

  @Test func `all tensors are ready, and a job that asks for one loads nothing`() throws {
    let warm = try Warm(Self.writer)
    let (lease, preload) = try preload(warm)
    #expect(preload.problems.isEmpty && preload.unshared.isEmpty)
    #expect(preload.tensorCount == 4)
    #expect(preload.byteCount == lease.resident.checkpoint.byteCount)
    let loads = store.figures.counters.loads
    let runs = (0..<lease.resident.checkpoint.stored.count).map {
      Resident.Run(position: $0, tensor: min($0, 2))
    }
    let strings = try lease.resident.piece("s", of: warm)
    _ = try lease.acquire(
      runs: Array(runs.dropLast()), pieces: [strings], from: warm.files(), for: .patient)
    #expect(store.figures.counters.loads == loads)
  }

  @Test func `progress ascends to all stored bytes`() throws {
    let warm = try Warm(Self.writer)
    var notes: [(ready: Int, total: Int)] = []
    let (lease, _) = try preload(warm) { notes.append(($0, $1)) }
    let byteCount = lease.resident.checkpoint.byteCount
    #expect(notes.first?.ready == 0)
    #expect(notes.last?.ready == byteCount)
    #expect(notes.allSatisfy { $0.total == byteCount })
    #expect(zip(notes, notes.dropFirst()).allSatisfy { $0.ready <= $1.ready })
  }

  @Test func `sealed tensors, and those at other addresses, are made in arenas`() throws {
    let warm = try Warm(Self.writer)
    let (lease, _) = try preload(warm, PlacementOptions(sealed: true))
    #expect(lease.resident.holdings.arenaByteCount > 0)
    let pieces = store.figures.counters.pieces
    let whole = try lease.resident.piece("a", of: warm)
    _ = try lease.acquire(runs: [], pieces: [whole], from: warm.files(), for: .patient)
    #expect(store.figures.counters.pieces == pieces)
  }

  @Test(arguments: [false, true])
  func `each damaged tensor is reported once, and the others are read`(_ readsAgain: Bool) throws {
    var writer = Self.writer
    writer.change("b") { $0.checksum ^= 1 }
    writer.change(.slice(of: "cut", [.init(0, 1)])) { $0.checksum ^= 1 }
    writer.change(.slice(of: "cut", [.init(1, 3)])) { $0.checksum ^= 1 }
    let warm = try Warm(writer)
    let (lease, preload) = try preload(warm, readsAgain: readsAgain)
    #expect(preload.problems.map(\.tensor) == ["b", "cut"])
    #expect(preload.problems.allSatisfy { $0.reason == .checksumMismatch })
    #expect(preload.problemCount == 2 && preload.tensorCount == 2)
    let verified = lease.resident.holdings.verifiedByteCount
    // What is sound is verified now, however it was read.
    #expect(verified == preload.byteCount && verified > 0)
  }

  @Test(arguments: [1, 21])
  func `problems of tensors with long names are all counted, and half a mebibyte is kept`(
    _ dtype: Int
  ) throws {
    var writer = BundleWriter()
    for number in 0..<40 {
      let name = BundleWriter.Key(
        Array("t\(number)".utf8) + [UInt8](repeating: 0x6e, count: 60_000))
      writer.add(name, dtype: dtype, dtype == 1 ? [1] : [], [1, 2, 3, 4])
      writer.change(name) { $0.checksum ^= 1 }
    }
    let warm = try Warm(writer)
    var charged = 0
    let (_, preload) = try preload(warm) { [store] _, _ in
      charged = max(charged, store.accounts.amount(of: .memory))
    }
    let kept = preload.problems + preload.unshared
    let byteCount = kept.reduce(0) { $0 + $1.message.utf8.count + ($1.tensor?.bytes.count ?? 0) }
    #expect(!kept.isEmpty && byteCount <= 512 << 10)
    #expect(preload.problemCount == (dtype == 1 ? 40 : 0))
    #expect(preload.tensorCount == 0)
    #expect(charged - store.accounts.amount(of: .memory) >= byteCount)
  }

  @Test func `a variant is not shared, and is no damage`() throws {
    var writer = Self.writer
    writer.add("v", dtype: 21, [], [1, 2, 3])
    let (_, preload) = try preload(try Warm(writer))
    #expect(preload.problems.isEmpty)
    #expect(preload.unshared.map(\.tensor) == ["v"])
    #expect(preload.tensorCount == 4)
  }

  @Test func `slices that overlap, or lie outside their tensor, are damage`() throws {
    var writer = Self.writer
    writer.add("over", dtype: 4, [4], [1, 2, 3, 4], slices: [[.init(0, 2)], [.init(1, 2)]])
    writer.add("out", dtype: 4, [4], [1, 2, 3, 4], slices: [[.init(0, 2)], [.init(2, 2)]])
    writer.change("out") { $0.slices = [[.init(3, 2)]] }
    let (_, preload) = try preload(try Warm(writer))
    #expect(
      Dictionary(uniqueKeysWithValues: preload.problems.map { ($0.tensor, $0.reason) })
        == ["over": .slicesOverlap, "out": .corrupt])
  }

  @Test func `a client whose own files cannot be read takes nothing from other clients`() throws {
    let warm = try Warm(Self.writer)
    let (lease, _) = try preload(warm)
    let verified = lease.resident.holdings.verifiedByteCount
    let index = try File(opening: FilePath(warm.bundle.index))
    let incomplete = try FileSet([(.index, index)], openedBy: 1000)
    #expect(throws: Problem.self) {
      try lease.verifyAgain([.whole(0), .whole(1)], from: incomplete, for: .patient)
    }
    #expect(lease.resident.holdings.verifiedByteCount == verified)
  }

  @Test func `damage takes back the damaged tensor, and answers that name files, but no more`()
    throws
  {
    let warm = try Warm(Self.writer)
    let (lease, _) = try preload(warm)
    let verified = lease.resident.holdings.verifiedByteCount
    let question: [UInt8] = [1, 2, 3]
    lease.remember(question[...], [.file(1)], [Answer.Reply(regions: 0..<1, fields: [4])])
    #expect(lease.answer(to: question[...]) != nil)
    let damaged = lease.resident.checkpoint.stored[1]
    try BundleFile.overwrite(warm.bundle.shards[0], at: damaged.offset, [0x55])
    let error = #expect(throws: Problem.self) {
      try lease.verifyAgain([.whole(0), .whole(1)], from: warm.files(), for: .patient)
    }
    #expect(error?.reason == .checksumMismatch && error?.tensor == "b")
    #expect(lease.resident.holdings.verifiedByteCount == verified - damaged.byteCount)
    #expect(lease.answer(to: question[...]) == nil)
  }

  @Test func `verifying reads the files again, and makes no arena`() throws {
    let warm = try Warm(Self.writer)
    _ = try preload(warm)
    let before = store.figures.counters
    let (lease, preload) = try preload(warm, PlacementOptions(sealed: true), readsAgain: true)
    #expect(preload.byteCount == lease.resident.checkpoint.byteCount)
    #expect(store.figures.counters.verifiedRuns == before.verifiedRuns + 5)
    #expect(store.figures.counters.arenas == before.arenas)
  }

  @Test func `what does not fit the budget is refused, and does not push itself out`() throws {
    var writer = BundleWriter()
    for number in 0..<8 {
      writer.add(.init("t\(number)"), dtype: 4, [12 << 20], [UInt8](repeating: 7, count: 12 << 20))
    }
    let warm = try Warm(writer)
    let error = #expect(throws: Problem.self) {
      try preload(warm, PlacementOptions(sealed: true))
    }
    #expect(error?.reason == .budget)
    #expect(store.figures.counters.arenas > 0)
    #expect(store.figures.counters.evictions == 0)
  }

  @Test func `a preload ends at its deadline`() throws {
    let warm = try Warm(Self.writer)
    let error = #expect(throws: Problem.self) {
      try preload(warm, for: Caller(nil, until: .after(milliseconds: 0)))
    }
    #expect(error?.reason == .deadline)
  }
}
