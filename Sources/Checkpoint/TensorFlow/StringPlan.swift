import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

/// The strings of one stored run: their offsets, and where their bytes are.
struct StringRun: Sendable {
  /// Where the bytes of all elements are, end to end.
  enum Place: Sendable {
    /// In a data file, at an offset from the start of the run; the checksum covers what precedes
    /// them.
    case file(start: Int, Checksum)
    /// Decoded from a V1 record.
    case memory([UInt8])
  }

  /// The offset of each element among all bytes, and the end of the last element.
  let offsets: [Int]
  let place: Place

  var byteCount: Int { offsets[offsets.count - 1] }
}

/// How a piece of strings is filled.
///
/// In an arena strings are 64-bit offsets, one more than elements, and then the bytes, like Arrow's
/// LargeBinary: element i is the bytes from offset i to offset i + 1. A plan needs only the stored
/// lengths; the bytes are copied when there is an arena.
struct StringPlan: Sendable {
  /// Bytes that are copied as they are, by their place among all bytes of the run and of the piece.
  struct Copy: Sendable {
    let source: Range<Int>
    let target: Int
  }

  /// The copies from one stored run, in the run's order.
  struct Part: Sendable {
    let run: Int
    let copies: [Copy]
  }

  let offsets: [Int]
  let parts: [Part]

  /// The bytes that the piece takes in an arena; nil from 2^63 on.
  var byteCount: Int? {
    let (sum, overflow) = (offsets.count * 8).addingReportingOverflow(offsets[offsets.count - 1])
    return overflow ? nil : sum
  }

  func writeOffsets(to arena: inout Arena, at start: Int) throws(Problem) {
    try arena.take(upTo: start + offsets.count * 8)
    var bytes = arena.bytes
    for (index, offset) in offsets.enumerated() { bytes.store(offset, at: start + index * 8) }
  }
}

/// The copies from one stored run of strings to one piece, made while the run streams past.
struct StringCopies {
  private let copies: [StringPlan.Copy]
  private let base: Int
  private var next = 0

  /// Begins before the first copy; `base` is the offset of the piece's strings in the arena.
  init(_ copies: [StringPlan.Copy], to base: Int) {
    self.copies = copies
    self.base = base
  }

  /// Copies the wanted bytes of a chunk.
  ///
  /// Chunks must come in order, without gaps.
  mutating func copy(
    _ chunk: RawSpan, at offset: Int, to arena: inout Arena
  ) throws(Problem) {
    let held = offset..<offset + chunk.byteCount
    while next < copies.count, copies[next].source.lowerBound < held.upperBound {
      let (source, target) = (copies[next].source, copies[next].target)
      let common = source.clamped(to: held)
      let place = base + target + common.lowerBound - source.lowerBound
      try arena.take(upTo: place + common.count)
      var bytes = arena.bytes
      bytes.copy(chunk, from: common.lowerBound - offset, to: place, count: common.count)
      // A copy that continues in the next chunk is not done.
      guard source.upperBound <= held.upperBound else { return }
      next += 1
    }
  }
}
