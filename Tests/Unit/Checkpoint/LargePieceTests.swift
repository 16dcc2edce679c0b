import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// Pieces of several huge pages, whose long rows are read straight into the arena.
@Suite struct LargePieceTests {
  /// A tensor of 6 MiB and its bytes; rows have 2 MiB.
  private static let shape = [3, 1 << 19]
  private static let rowByteCount = 4 * shape[1]
  private static let bytes: [UInt8] = {
    var random = SeededRandom(seed: 5)
    return (0..<shape[0] * shape[1] / 2).flatMap { _ in
      let word: UInt64 = random.next()
      return (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
  }()

  /// Opens the tensor, stored whole as `x` behind an odd byte, and as `y` in two slices.
  private func opened(isBigEndian: Bool = false) throws -> Opened {
    var writer = BundleWriter()
    writer.isBigEndian = isBigEndian
    writer.add("odd", dtype: 4, [1], [7])
    writer.add("x", dtype: 1, Self.shape, Self.bytes)
    let half = Self.shape[1] / 2
    writer.add(
      "y", dtype: 1, Self.shape, Self.bytes,
      slices: [[.whole, .init(0, half)], [.whole, .init(half, half)]])
    return try Opened(writer)
  }

  /// The bytes of columns, in some rows.
  private func expected(_ rows: Range<Int>, _ columns: Range<Int>) -> [UInt8] {
    rows.flatMap { row in
      let start = row * Self.rowByteCount
      return Self.bytes[start + 4 * columns.lowerBound..<start + 4 * columns.upperBound]
    }
  }

  @Test(arguments: [true, false], [false, true])
  func `rows of any length have the right bytes, in huge and in small pages`(
    _ isHuge: Bool, _ isBigEndian: Bool
  ) throws {
    let opened = try opened(isBigEndian: isBigEndian)
    let all = Self.shape[1]
    let boxes: [(rows: Range<Int>, columns: Range<Int>)] = [
      (0..<3, 0..<all),
      // Rows that follow one another in the file: one run.
      (1..<3, 0..<all),
      // Long rows are read into their place, one by one, with what is between them.
      (0..<3, 100_001..<400_000),
      // Short rows are copied.
      (0..<3, 17..<4000),
      // Of 64 KiB less an element, 64 KiB, and an element more.
      (0..<3, 5..<5 + 16_383), (0..<3, 5..<5 + 16_384), (0..<3, 5..<5 + 16_385),
      (2..<3, all - 1..<all),
    ]
    for (rows, columns) in boxes {
      let slice = TensorSlice(
        starts: [rows.lowerBound, columns.lowerBound], counts: [rows.count, columns.count])
      for name in ["x", "y"] {
        let read = try opened.bytes(name, slice, PlacementOptions(sealed: true), isHuge: isHuge)
        // Not compared by the macro, which would print megabytes.
        let isRight = read == expected(rows, columns)
        #expect(isRight, "\(name), rows \(rows), columns \(columns)")
      }
    }
  }

  @Test(arguments: [true, false])
  func `a file that shrinks while an arena is filled is reported`(_ isHuge: Bool) throws {
    let opened = try opened()
    var count = 0
    let problem = #expect(throws: Problem.self) {
      try opened.bytes("x", nil, PlacementOptions(sealed: true), isHuge: isHuge) {
        () throws(Problem) in
        count += 1
        guard count == 5 else { return }
        do { try BundleFile.truncate(opened.bundle.shards[0], to: 1 << 20) } catch {
          throw Problem(.system, "\(error)")
        }
      }
    }
    #expect(problem?.reason == .checkpointChanged)
    #expect(count == 5)
  }

  @Test func `a damaged byte in a long row is found`() throws {
    let opened = try opened()
    try BundleFile.overwrite(opened.bundle.shards[0], at: 3_000_000, [1, 2, 3, 4])
    let files = try FileSet(opening: opened.bundle)
    let damaged = Opened(opened, files)
    let problem = #expect(throws: Problem.self) {
      try damaged.bytes("x", nil, PlacementOptions(sealed: true))
    }
    #expect(problem?.reason == .checksumMismatch)
  }
}
