import WarmstartCheckpoint

/// Counts how many of the bytes that a call needs were read, to be verified or to make pieces of, while
/// it waits for them.
///
/// Belongs to the call's thread.
final class Progress {
  private let pieces: Pieces
  private let needed: Pieces.Needed
  private let note: (_ readyByteCount: Int, _ totalByteCount: Int) -> Void
  private var readyByteCount = 0
  /// The load of another call that is awaited, and how much of what it reads is needed.
  private var awaited: (flight: Flight, byteCount: Int)?

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
    readyByteCount = pieces.byteCount(of: needed, on: nil)
    note(readyByteCount, needed.byteCount)
  }

  /// Says what is ready, with what another call has read so far.
  func count(with flight: Flight) {
    if awaited?.flight !== flight {
      readyByteCount = pieces.byteCount(of: needed, on: nil)
      awaited = (flight, pieces.byteCount(of: needed, on: flight))
    }
    let read = flight.readPart * Double(awaited?.byteCount ?? 0)
    note(min(needed.byteCount, readyByteCount + Int(read)), needed.byteCount)
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
    /// Beyond that it does not matter; the sum of two is a number.
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
