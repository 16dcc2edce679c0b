import WarmstartCheckpoint

/// Counts how many of the bytes that a call needs are ready while it loads them or waits for them.
///
/// Belongs to the call's thread.
final class Progress {
  private let pieces: Pieces
  private let needed: Pieces.Needed
  private let note: (_ readyByteCount: Int, _ totalByteCount: Int) -> Void
  private var readyByteCount = 0
  /// Another call's load that this call waits for, and how many of its bytes this call needs.
  private var awaited: (flight: Flight, byteCount: Int)?

  init(
    _ pieces: Pieces, _ needed: Pieces.Needed,
    _ note: @escaping (_ readyByteCount: Int, _ totalByteCount: Int) -> Void
  ) {
    self.pieces = pieces
    self.needed = needed
    self.note = note
  }

  /// Counts the ready bytes again, and notes them.
  func count() {
    readyByteCount = pieces.byteCount(of: needed, on: nil)
    note(readyByteCount, needed.byteCount)
  }

  /// Notes the ready bytes, with those that another call's load has read so far.
  func count(with flight: Flight) {
    if awaited?.flight !== flight {
      readyByteCount = pieces.byteCount(of: needed, on: nil)
      awaited = (flight, pieces.byteCount(of: needed, on: flight))
    }
    let read = flight.readPart * Double(awaited?.byteCount ?? 0)
    note(min(needed.byteCount, readyByteCount + Int(read)), needed.byteCount)
  }

  /// Adds bytes that the call's own thread has read, and notes them.
  func add(_ byteCount: Int) {
    // Pieces may need more bytes than they have, and share runs.
    readyByteCount = min(needed.byteCount, readyByteCount + min(byteCount, needed.byteCount))
    note(readyByteCount, needed.byteCount)
  }
}

extension Pieces {
  /// The runs and pieces that a call needs, with the bytes of each and of all.
  struct Needed {
    /// Larger sums are cut to this, so that two of them can be added.
    private static let maximumByteCount = Int.max / 2

    let runs: [(run: Resident.Run, byteCount: Int)]
    let pieces: [(piece: Piece, byteCount: Int)]
    private(set) var byteCount = 0

    init(runs: [Resident.Run], pieces: [Piece], of checkpoint: Checkpoint) {
      self.runs = runs.map { ($0, max(0, checkpoint.stored[$0.position].byteCount)) }
      self.pieces = pieces.map { ($0, checkpoint.byteCount(toRead: [], [$0])) }
      for (_, count) in self.runs { byteCount = Needed.sum(byteCount, count) }
      for (_, count) in self.pieces { byteCount = Needed.sum(byteCount, count) }
    }

    static func sum(_ first: Int, _ second: Int) -> Int {
      min(maximumByteCount, first + min(maximumByteCount, second))
    }
  }
}
