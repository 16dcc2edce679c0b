import Checkpoint

/// Counts how many of the bytes that a call needs are verified or made, while it waits for them.
///
/// What other calls load counts when a claim of theirs is complete. Belongs to the call's thread.
final class Progress {
  private let pieces: Pieces
  private let needed: Pieces.Needed
  private let note: (_ readyByteCount: Int, _ totalByteCount: Int) -> Void
  private var readyByteCount = 0

  init(
    _ pieces: Pieces, _ needed: Pieces.Needed,
    _ note: @escaping (_ readyByteCount: Int, _ totalByteCount: Int) -> Void
  ) {
    self.pieces = pieces
    self.needed = needed
    self.note = note
  }

  /// Counts again, and says, what is ready.
  func count() {
    readyByteCount = pieces.readyByteCount(of: needed)
    note(readyByteCount, needed.byteCount)
  }

  /// Says that so much was read of what the call's own thread loads.
  func add(_ byteCount: Int) {
    // More is read for pieces than they have, or the same run for several.
    readyByteCount = min(needed.byteCount, readyByteCount + min(byteCount, needed.byteCount))
    note(readyByteCount, needed.byteCount)
  }
}

extension Pieces {
  /// What a call needs, with the bytes of each, and of all.
  struct Needed {
    fileprivate let runs: [(run: Resident.Run, byteCount: Int)]
    fileprivate let pieces: [(piece: Piece, byteCount: Int)]
    let byteCount: Int

    init(runs: [Resident.Run], pieces: [Piece], of checkpoint: Checkpoint) {
      self.runs = runs.map { ($0, max(0, checkpoint.stored[$0.position].byteCount)) }
      self.pieces = pieces.map { ($0, checkpoint.byteCount(toMake: $0)) }
      byteCount = Needed.sum(self.runs.map(\.byteCount) + self.pieces.map(\.byteCount))
    }

    fileprivate static func sum(_ byteCounts: [Int]) -> Int {
      // With room for a sum of two.
      byteCounts.reduce(0) { min(.max / 2, $0 + min(.max / 2, $1)) }
    }
  }

  /// How many bytes of what a call needs are verified or made.
  func readyByteCount(of needed: Needed) -> Int {
    let (runs, pieces) = areReady(needed.runs.map(\.run), needed.pieces.map(\.piece))
    return Needed.sum(
      zip(needed.runs, runs).map { $1 ? $0.byteCount : 0 }
        + zip(needed.pieces, pieces).map { $1 ? $0.byteCount : 0 })
  }
}
