import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Comparing checksums on two threads, in stretches of the file.
@Suite struct VerificationTests {
  private static let count = 8
  private static let byteCount = 6 << 20

  private let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000)

  /// Tensors of which no two fit in a stretch.
  private static var writer: BundleWriter {
    var writer = BundleWriter()
    for number in 0..<count {
      let bytes = [UInt8](repeating: UInt8(number), count: byteCount)
      writer.add(.init("t\(number)"), dtype: 4, [byteCount], bytes)
    }
    return writer
  }

  private static let runs = (0..<count).map { Resident.Run.whole($0) }

  private func verify(
    _ warm: Warm, _ store: Store? = nil, for caller: Caller = .patient,
    note: @escaping (Int) -> Void = { _ in }
  ) throws -> Lease {
    let lease = try warm.open(store ?? self.store)
    try lease.verifyAgain(Self.runs, from: warm.files(), for: caller, didRead: note)
    return lease
  }

  @Test(arguments: [1, 2])
  func `every byte is counted once, whether one thread reads or two`(_ slots: Int) throws {
    let warm = try Warm(Self.writer)
    let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000, loadsPerUser: slots)
    var read = 0
    let lease = try verify(warm, store) { read += $0 }
    #expect(read == Self.count * Self.byteCount)
    #expect(lease.resident.holdings.verifiedByteCount == read)
    #expect(store.figures.counters.verifiedRuns == Self.count)
  }

  @Test func `of several damaged tensors the first one in the file is reported`() throws {
    var writer = Self.writer
    for number in [2, 3, 6] { writer.change(.init("t\(number)")) { $0.checksum ^= 1 } }
    let warm = try Warm(writer)
    for _ in 0..<5 {
      let error = #expect(throws: Problem.self) { try verify(warm) }
      #expect(error?.reason == .checksumMismatch && error?.tensor == "t2")
    }
  }

  @Test func `a deadline ends both threads, and gives back the user's slots`() throws {
    let warm = try Warm(Self.writer)
    for _ in 0..<3 {
      let error = #expect(throws: Problem.self) {
        try verify(warm, for: Caller(nil, until: .after(milliseconds: 1)))
      }
      #expect(error?.reason == .deadline)
    }
    // With a slot lost each time, this would wait forever.
    let lease = try verify(warm, for: Caller(nil, until: .after(milliseconds: 60_000)))
    #expect(lease.resident.holdings.verifiedByteCount == Self.count * Self.byteCount)
  }

  @Test func `a client whose data file is missing fails alone`() throws {
    let warm = try Warm(Self.writer)
    let lease = try warm.open(store)
    let index = try File(opening: FilePath(warm.bundle.index))
    let incomplete = try FileSet([(.index, index)], openedBy: 1000)
    let crew = try Crew(4) { number in
      outcome {
        let files = try number == 0 ? incomplete : warm.files()
        try lease.verifyAgain(Self.runs, from: files, for: .patient)
      }
    }
    let failed = try crew.outcomes().map { outcome in
      if case .failure = outcome { true } else { false }
    }
    #expect(failed == [true, false, false, false])
  }

  @Test func `no thread keeps the client's files`() throws {
    let warm = try Warm(Self.writer)
    weak var file: File?
    do {
      let files = try warm.files()
      file = files.members[1].file
      let lease = try warm.open(store)
      try lease.verifyAgain(Self.runs, from: files, for: .patient)
    }
    #expect(file == nil)
  }
}
