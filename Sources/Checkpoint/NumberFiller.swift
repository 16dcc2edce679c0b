import WarmstartKernel
import WarmstartTensorModel

/// Fills pieces of numbers from the runs that the reader passes.
struct NumberFiller {
  private let checkpoint: Checkpoint
  private let targets: [Loading.Target]
  /// The positions of the targets that take from a run.
  private var takers: [Int: [Int]] = [:]
  private var orders: [Int: GatherOrder] = [:]
  /// The runs that the targets take from, each with its tensor.
  private(set) var runs: [(run: Int, tensor: Int)] = []

  /// Finds out which target takes from which run; ignores targets of strings.
  init(
    _ checkpoint: Checkpoint, _ targets: [Loading.Target],
    _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) {
    self.checkpoint = checkpoint
    self.targets = targets
    for (index, target) in targets.enumerated() {
      let tensor = target.piece.tensor
      guard checkpoint.catalog.dtype(tensor) != .string else { continue }
      if let gather = target.piece.gather {
        try checkIn()
        orders[index] = GatherOrder(gather)
      }
      for run in checkpoint.runs(of: target.piece) {
        if takers[run] == nil { runs.append((run, tensor)) }
        takers[run, default: []].append(index)
      }
    }
  }

  /// The copies from a stored run to the targets that take from it.
  ///
  /// They are planned when their run is read: there may be many pairs of runs and targets.
  private func copies(of run: Int) -> [Copies] {
    (takers[run] ?? []).compactMap { taker in
      let (piece, offset) = (targets[taker].piece, targets[taker].offset)
      guard let form = NumberForm(of: piece, in: checkpoint) else { return nil }
      if let order = orders[taker] {
        let box = checkpoint.box(ofRun: run, of: piece.tensor)
        return GatheredRuns(from: box, order, to: checkpoint.shape(of: piece), at: offset, form)
          .map { Copies($0, end: offset + targets[taker].byteCount, form) }
      }
      let wanted = piece.slice ?? TensorSlice(whole: checkpoint.catalog.shape(piece.tensor))
      let runs =
        if let steps = checkpoint.steps(of: piece.tensor) {
          Runs(
            withSteps: steps, to: wanted, piece.view, at: offset, width: form.width,
            targetWidth: form.targetWidth)
        } else {
          Runs(
            from: checkpoint.box(ofRun: run, of: piece.tensor), to: wanted, piece.view, at: offset,
            width: form.width, targetWidth: form.targetWidth)
        }
      return runs.map { Copies($0, form) }
    }
  }

  /// Copies what the targets take from a run whose numbers were decoded.
  func copy(
    _ numbers: [UInt8], of run: Int, to arena: inout Arena,
    _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) {
    let bytes = numbers.rawSpan
    for var copy in copies(of: run) {
      for start in stride(from: 0, to: numbers.count, by: RunReader.chunkByteCount) {
        try checkIn()
        let count = min(RunReader.chunkByteCount, numbers.count - start)
        try copy.copy(bytes.extracting(start..<start + count), at: start, to: &arena, checkIn)
      }
    }
  }

  /// Reads and verifies a run, and copies what the targets take from it.
  func stream(
    _ position: Int, of tensor: Int, to arena: inout Arena, _ reader: inout RunReader
  ) throws(Problem) {
    let run = checkpoint.stored[position]
    let checkIn = reader.checkIn
    var copies = copies(of: position)
    var passed = RunReader.Passage(of: run)
    while passed.offset < run.byteCount {
      let only = copies.count == 1 ? copies[0] : nil
      if !reader.isAhead(run), let place = only?.directPlace(of: passed.offset) {
        let range = place.target..<place.target + min(place.count, RunReader.directByteCount)
        try arena.take(upTo: range.upperBound)
        var bytes = arena.bytes
        var room = bytes._mutatingExtracting(range)
        try reader.read(run, of: tensor, &passed, into: &room)
        copies[0].finish(range, to: passed.offset, in: &arena)
      } else {
        let limit = only?.distanceToDirectPlace(from: passed.offset)
        try reader.pass(run, of: tensor, &passed, upTo: limit) { chunk, offset throws(Problem) in
          for index in copies.indices {
            try copies[index].copy(chunk, at: offset, to: &arena, checkIn)
          }
        }
      }
    }
    try reader.expect(passed.checksum, run, of: tensor)
  }
}
