import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel

extension PlacementOptions {
  init(_ options: ResolveRequest.Options) throws(CallFailure) {
    try self.init(
      checkedAlignment: options.alignment, sealed: options.sealed, strides: options.strides)
  }

  /// Throws INVALID_REQUEST for an alignment that is no power of two, or too large.
  init(checkedAlignment alignment: Int, sealed: Bool, strides: Bool) throws(CallFailure) {
    guard alignment & (alignment - 1) == 0, alignment <= Alignment.maximum else {
      throw .status(
        CallStatus(
          .invalidRequest,
          "alignment \(alignment), expected a power of two up to \(Alignment.maximum), or 0")
      )
    }
    self.init(alignment: alignment, sealed: sealed, strides: strides)
  }
}

extension OpenCheckpoint {
  /// Decides where each assignment is served from; throws all problems at once.
  func place(
    _ assignments: [Resolution.Assignment], of variables: VariableList,
    _ options: PlacementOptions, for caller: Caller
  ) throws(CallFailure) -> Placements {
    var problems: [Problem] = []
    var total = 0
    let placements: Placements
    var options = options
    if published != nil { options.sealed = true }
    do throws(Problem) {
      placements = try checkpoint.place(
        assignments, of: variables, options, in: files, checkIn: caller.checkIn
      ) {
        total += 1
        if problems.count < CallStatus.maximumProblems { problems.append($0) }
      }
    } catch {
      throw .status(CallStatus(error))
    }
    guard problems.isEmpty else { throw .status(CallStatus(problems, total: total)) }
    return placements
  }

  /// Reads everything that was placed, even what was verified before.
  func readAgain(_ placements: Placements, for caller: Caller) throws(Problem) {
    var runs = placements.runs.map { Resident.Run(position: $0.position, tensor: $0.tensor) }
    for piece in placements.pieces {
      for run in checkpoint.runs(of: piece) {
        runs.append(Resident.Run(position: run, tensor: piece.tensor))
      }
    }
    try lease.verifyAgain(runs, from: files, for: caller)
  }

  /// Waits until all runs are verified and all pieces made; returns the pieces' places, in order.
  func acquire(
    _ placements: Placements, for caller: Caller, _ notes: ProgressNotes?
  ) throws(Problem) -> [PiecePlace] {
    try lease.acquire(
      runs: placements.runs.map { Resident.Run(position: $0.position, tensor: $0.tensor) },
      pieces: placements.pieces, from: files, for: caller,
      note: notes.map { notes in
        { notes.note(.init(readyByteCount: $0, totalByteCount: $1)) }
      })
  }

  /// Throws CHECKPOINT_CHANGED if a file that serves an assignment has changed since it was opened.
  func expectUnchanged(
    _ placements: Placements, for caller: Caller
  ) throws(Problem) {
    var isUnchanged = [Bool](repeating: false, count: files.members.count)
    try caller.pausing { () throws(Problem) in
      for member in placements.members where member >= 0 && !isUnchanged[Int(member)] {
        try files.expectUnchanged(at: Int(member))
        isUnchanged[Int(member)] = true
      }
    }
  }
}
