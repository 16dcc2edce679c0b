import Glibc
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Calls for the same thing at once, and callers that leave while others wait.
@Suite(.serialized) struct FlightTests {
  /// Keeps a file out of the page cache, so that long reads take equally long in all tests, and no
  /// memory.
  private let store = Store(share: 1 << 30, lingerMilliseconds: 60_000, warmFileLimit: 0)

  private static var small: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [64, 32], floats(2048))
    for number in 0..<2000 { writer.add(.init("t\(number)"), dtype: 1, [1], floats(1)) }
    return writer
  }

  /// Seconds to read, and a small tensor in another file behind it.
  private static let slow: BundleWriter = {
    var writer = BundleWriter()
    writer.addSparse("big", gibibytes: 6)
    writer.add("small", dtype: 1, [4], floats(4), in: 1)
    return writer
  }()

  @Test func `ten callers of a cold index have it parsed once`() throws {
    let warm = try Warm(Self.small)
    let crew = try Crew(10) { [store] _ in outcome { try warm.open(store) } }
    let leases = try crew.outcomes().map { try $0.get() }
    #expect(store.figures.counters.opens == 10)
    #expect(store.figures.counters.indexesParsed == 1)
    #expect(leases.allSatisfy { $0.resident === leases[0].resident })
    #expect(store.residents.map(\.leaseCount) == [10])
  }

  @Test func `ten callers of the same inner-axis piece have it made once`() throws {
    let warm = try Warm(Self.small)
    let crew = try Crew(10) { [store] _ in
      outcome {
        let lease = try warm.open(store)
        let piece = try lease.resident.piece(
          "a", TensorSlice(starts: [0, 8], counts: [64, 8]), of: warm)
        return (lease, try lease.acquire([piece], warm)[0])
      }
    }
    let all = try crew.outcomes().map { try $0.get() }
    #expect(Set(all.map { $0.1.arena.id }) == [1])
    #expect(store.figures.counters.arenas == 1)
    #expect(store.figures.counters.pieces == 1)
    #expect(store.accounts.amount(of: .memory) > 64 * 8 * 4)
  }

  @Test func `callers of overlapping sets of pieces each get theirs, every piece made once`() throws
  {
    let warm = try Warm(Self.small)
    let crew = try Crew(8) { [store] number in
      outcome {
        let lease = try warm.open(store)
        let pieces = try (0..<10).map {
          try lease.resident.piece(Name("t\((number * 7 + $0) % 20)"), of: warm)
        }
        return try lease.acquire(pieces, warm).count
      }
    }
    #expect(try crew.outcomes().map { try $0.get() } == Array(repeating: 10, count: 8))
    #expect(store.figures.counters.pieces == 20)
  }

  @Test func `one call that names a piece or a run twice makes it once`() throws {
    let warm = try Warm(Self.small)
    let lease = try warm.open(store)
    let piece = try lease.resident.piece("a", of: warm)
    let places = try lease.acquire([piece, piece], warm)
    #expect(places[0].offset == places[1].offset)
    #expect(store.figures.counters.pieces == 1)
    _ = try lease.acquire(
      runs: [.whole(0), .whole(0)], pieces: [], from: warm.files(), for: .patient)
    #expect(lease.resident.holdings.verifiedByteCount == 8192)
  }

  @Test func `places come in the order of the pieces, whichever call made them`() throws {
    let warm = try Warm(Self.small)
    let lease = try warm.open(store)
    let pieces = try (0..<6).map { try lease.resident.piece(Name("t\($0)"), of: warm) }
    let early = try lease.acquire([pieces[3], pieces[1]], warm)
    let all = try lease.acquire(pieces.reversed(), warm)
    #expect(all[2].arena === early[0].arena && all[2].offset == early[0].offset)
    #expect(all[4].arena === early[1].arena && all[4].offset == early[1].offset)
    #expect(Set([0, 1, 3, 5].map { all[$0].offset }).count == 4)
    #expect([0, 1, 3, 5].allSatisfy { all[$0].arena !== early[0].arena })
    #expect(
      try lease.acquire(pieces, warm).map(\.offset)
        == all.map(\.offset).reversed())
  }

  // MARK: Going away

  @Test func `reading an index stops if its caller has gone, and can be repeated`() throws {
    var writer = BundleWriter()
    // More than are read between two questions.
    for number in 0..<20_000 { writer.add(.init("t\(number)"), dtype: 4, [0], []) }
    let warm = try Warm(writer)
    let (ours, theirs) = try hangingSocket()
    theirs.shutDown(writingToo: true)
    let late = problem {
      _ = try store.open(
        try warm.files(), label: "test", for: Caller(nil, until: .after(milliseconds: 0)))
    }
    #expect(late?.reason == .deadline)
    let gone = problem {
      _ = try store.open(try warm.files(), label: "test", for: Caller(ours, until: .never))
    }
    #expect(gone?.reason == .cancelled)
    #expect(store.figures.counters.indexesParsed == 0 && store.accounts.amount(of: .memory) == 0)
    _ = try warm.open(store)
    #expect(store.figures.counters.indexesParsed == 1)
  }

  @Test func `a load whose caller hangs up goes on for the calls that wait`() throws {
    let warm = try Warm(Self.slow)
    let lease = try warm.open(store)
    let (ours, theirs) = try hangingSocket()
    let first = try verify(lease, warm, Caller(ours, until: .never))
    awaitCount(1) { $0.loads }
    let second = try verify(lease, warm, .patient)
    awaitCount(1) { $0.awaitedLoads }
    rest(milliseconds: 10)
    theirs.shutDown(writingToo: true)
    #expect(try second.outcomes()[0] == nil)
    #expect(try first.outcomes()[0] == nil)
    #expect(store.figures.counters.verifiedRuns == 1)
  }

  @Test func `a load whose caller hangs up stops if no call waits, and can be repeated`() throws {
    let warm = try Warm(Self.slow)
    let lease = try warm.open(store)
    let (ours, theirs) = try hangingSocket()
    let first = try verify(lease, warm, Caller(ours, until: .never))
    awaitCount(1) { $0.loads }
    theirs.shutDown(writingToo: true)
    #expect(try first.outcomes()[0]?.reason == .cancelled)
    #expect(store.figures.counters.verifiedRuns == 0)
    #expect(lease.resident.holdings.verifiedByteCount == 0)
    #expect(try verify(lease, warm, .patient).outcomes()[0] == nil)
    #expect(store.figures.counters.verifiedRuns == 1)
  }

  @Test func `a load stops at its caller's deadline`() throws {
    let warm = try Warm(Self.slow)
    let lease = try warm.open(store)
    let first = try verify(lease, warm, Caller(nil, until: .after(milliseconds: 100)))
    #expect(try first.outcomes()[0]?.reason == .deadline)
  }

  @Test func `a call that waits for another's load ends at its deadline or its client's hang-up`()
    throws
  {
    let warm = try Warm(Self.slow)
    let lease = try warm.open(store)
    let first = try verify(lease, warm, .patient)
    awaitCount(1) { $0.loads }
    let second = try verify(lease, warm, Caller(nil, until: .after(milliseconds: 50)))
    let (ours, theirs) = try hangingSocket()
    let third = try verify(lease, warm, Caller(ours, until: .never))
    awaitCount(2) { $0.awaitedLoads }
    #expect(try second.outcomes()[0]?.reason == .deadline)
    theirs.shutDown(writingToo: true)
    #expect(try third.outcomes()[0]?.reason == .cancelled)
    // Before the end of the load that the first caller waits for.
    #expect(store.figures.counters.verifiedRuns == 0)
    #expect(try first.outcomes()[0] == nil)
  }

  @Test func `after a failed load, the waiting calls load from their own files`() throws {
    let warm = try Warm(Self.slow)
    let lease = try warm.open(store)
    let files = try warm.files()
    // Reads of this description fail from here on: the buffers are not aligned for O_DIRECT.
    #if arch(x86_64)
      let direct: CInt = 0x4000
    #else
      let direct: CInt = 0x10000
    #endif
    let failed = fcntl(files.members[2].file.descriptor.borrowedNumber(), F_SETFL, direct)
    #expect(failed == 0)
    let first = try Crew { _ in
      problem {
        _ = try lease.acquire(
          runs: [.whole(0), .whole(1)], pieces: [], from: files, for: .patient)
      }
    }
    awaitCount(1) { $0.loads }
    let others = try Crew(4) { _ in
      problem {
        _ = try lease.acquire(
          runs: [.whole(1)], pieces: [], from: warm.files(), for: .patient)
      }
    }
    #expect(try first.outcomes()[0]?.reason == .system)
    #expect(try others.outcomes().allSatisfy { $0 == nil })
    #expect(store.figures.counters.verifiedRuns == 1)
  }

  @Test func `after a failed index read, the waiting calls read their own files`() throws {
    var writer = Self.small
    writer.table.damagedBlock = 0
    let warm = try Warm(writer)
    let crew = try Crew(6) { [store] _ in problem { _ = try warm.open(store) } }
    #expect(try crew.outcomes().allSatisfy { $0?.reason == .checksumMismatch })
    #expect(store.figures.counters.indexesParsed == 0)
    #expect(store.residents.isEmpty)
    #expect(store.accounts.amount(of: .memory) == 0)
  }

  // MARK: Helpers

  private func verify(_ lease: Lease, _ warm: Warm, _ caller: Caller) throws -> Crew<Problem?> {
    try Crew { _ in
      problem {
        _ = try lease.acquire(
          runs: [.whole(0)], pieces: [], from: warm.files(), for: caller)
      }
    }
  }

  /// Waits until the store has counted this many.
  private func awaitCount(_ count: Int, of counter: (Figures.Counters) -> Int) {
    for _ in 0..<20_000 where counter(store.figures.counters) < count { rest(milliseconds: 1) }
    #expect(counter(store.figures.counters) == count)
  }

  private func hangingSocket() throws -> (Socket, Socket) { try Socket.pair() }
}

/// The error of a call.
func problem(_ body: () throws -> Void) -> Problem? {
  guard case .failure(let problem) = outcome(body) else { return nil }
  return problem
}
