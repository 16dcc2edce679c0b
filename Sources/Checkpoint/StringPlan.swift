import WarmstartKernel
import WarmstartTable

/// The strings of one stored run: where each ends, and where their bytes are.
struct StringRun: Sendable {
  /// Where the bytes of all elements are, one after the other.
  enum Place: Sendable {
    /// So far behind the run's start in a data file; the checksum is that of what comes before them.
    case file(start: Int, Checksum)
    /// Decoded from a V1 record.
    case memory([UInt8])
  }

  /// Where each element begins among the bytes of all; one more than elements.
  let offsets: [Int]
  let place: Place

  var byteCount: Int { offsets[offsets.count - 1] }
}

/// How the piece of a string tensor is filled.
///
/// In an arena strings are 64-bit offsets, one more than elements, and then the bytes, as Arrow's
/// LargeBinary has them: element i is the bytes from offset i to offset i + 1. To know them takes
/// the stored lengths only; the bytes are copied when there is an arena.
struct StringPlan: Sendable {
  /// Bytes of a stored run that go to the arena as they are, by their place among all bytes of each.
  struct Copy: Sendable {
    let source: Range<Int>
    let target: Int
  }

  /// What is taken of one stored run, in the order in which the run has it.
  struct Part: Sendable {
    let run: Int
    let copies: [Copy]
  }

  let offsets: [Int]
  let parts: [Part]

  /// The room that the elements take in an arena; nil if that is no number.
  var byteCount: Int? {
    let (sum, overflow) = (offsets.count * 8).addingReportingOverflow(offsets[offsets.count - 1])
    return overflow ? nil : sum
  }

  func writeOffsets(to arena: inout MutableRawSpan, at start: Int) {
    for (index, offset) in offsets.enumerated() { arena.store(offset, at: start + index * 8) }
  }
}

/// What is still to be copied of one stored run of strings to one piece, as the run streams past.
struct StringCopies {
  private let copies: [StringPlan.Copy]
  private let base: Int
  private var next = 0

  /// Begins before the first copy; `base` is where the piece's strings begin in the arena.
  init(_ copies: [StringPlan.Copy], to base: Int) {
    self.copies = copies
    self.base = base
  }

  /// Copies what a chunk of the run has; chunks must come in order, without gaps.
  mutating func copy(_ chunk: RawSpan, at offset: Int, to arena: inout MutableRawSpan) {
    let held = offset..<offset + chunk.byteCount
    while next < copies.count, copies[next].source.lowerBound < held.upperBound {
      let (source, target) = (copies[next].source, copies[next].target)
      let common = source.clamped(to: held)
      arena.copy(
        chunk, from: common.lowerBound - offset,
        to: base + target + common.lowerBound - source.lowerBound, count: common.count)
      // What goes on in the next chunk is not done.
      guard source.upperBound <= held.upperBound else { return }
      next += 1
    }
  }
}
