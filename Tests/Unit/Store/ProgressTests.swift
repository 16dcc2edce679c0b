import Testing
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// The progress that a waiting call reports.
@Suite struct ProgressTests {
  private static let byteCount = 1_200_000

  private static func warm() throws -> Warm {
    var writer = BundleWriter()
    for name in ["a", "b"] {
      writer.add(.init(name), dtype: 4, [byteCount], [UInt8](repeating: 1, count: byteCount))
    }
    return try Warm(writer)
  }

  /// Acquires runs and pieces; returns the progress that was noted.
  private func notes(
    _ lease: Lease, _ warm: Warm, runs: [Resident.Run], pieces: [Name] = []
  ) throws -> [[Int]] {
    let pieces = try pieces.map { try lease.resident.piece($0, of: warm) }
    var notes: [[Int]] = []
    _ = try lease.acquire(runs: runs, pieces: pieces, from: warm.files(), for: .patient) {
      notes.append([$0, $1])
    }
    return notes
  }

  @Test func `progress counts bytes as they are read`() throws {
    let warm = try Self.warm()
    let lease = try warm.open(Store(budget: 1 << 30, lingerMilliseconds: 60_000))
    let chunk = 512 << 10
    let total = Self.byteCount
    #expect(
      try notes(lease, warm, runs: [.whole(0)])
        == [0, chunk, 2 * chunk, total, total].map { [$0, total] })
    // One is ready by now. What goes to one place of an arena is read in smaller steps.
    let step = 256 << 10
    let both = [0, step, 2 * step, 3 * step, 4 * step, total, total]
      .map { [total + $0, 2 * total] }
    #expect(try notes(lease, warm, runs: [.whole(0)], pieces: ["b"]) == both)
  }

  @Test func `nothing is counted if everything is warm`() throws {
    let warm = try Self.warm()
    let lease = try warm.open(Store(budget: 1 << 30, lingerMilliseconds: 60_000))
    _ = try notes(lease, warm, runs: [.whole(0)], pieces: ["b"])
    #expect(try notes(lease, warm, runs: [.whole(0)], pieces: ["b"]) == [])
    // Filling a piece has verified its stored bytes.
    #expect(try notes(lease, warm, runs: [.whole(1)]) == [])
  }

  @Test func `a call that waits for another's load gets the progress of that load`() throws {
    var writer = BundleWriter()
    writer.addSparse("a", gibibytes: 2)
    let warm = try Warm(writer)
    let store = Store(budget: 1 << 30, lingerMilliseconds: 60_000)
    let lease = try warm.open(store)
    let first = try Crew { _ in
      outcome {
        try lease.acquire(
          runs: [.whole(0)], pieces: [], from: warm.files(), for: .patient)
      }
    }
    #expect(eventually { store.figures.counters.loads == 1 })
    let noted = try notes(try warm.open(store), warm, runs: [.whole(0)])
    _ = try first.outcomes()
    #expect(store.figures.counters.loads == 1)
    // That much cannot be read and summed in a tenth of a second.
    #expect(noted.count > 1)
    #expect(noted.allSatisfy { $0[1] == 2 << 30 })
    #expect(zip(noted, noted.dropFirst()).allSatisfy { $0[0] <= $1[0] })
    #expect(noted.last == [2 << 30, 2 << 30])
    #expect(noted.dropLast().contains { $0[0] > 0 })
  }
}
