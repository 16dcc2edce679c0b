import WarmstartCheckpoint
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

extension Session {
  /// Answers `Preload`: reads and verifies all tensors, and sends its progress meanwhile.
  func preload(_ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller)
    throws(CallFailure)
  {
    let request = try request(call, PreloadRequest.init(unpacking:_:))
    var options = try PlacementOptions(
      checkedAlignment: request.alignment, sealed: request.sealed, strides: request.strides)
    let notes = progressNotes ?? ProgressNotes(reply, ofPreload: true)
    progressNotes = notes
    let note = { notes.note(.init(readyByteCount: $0, totalByteCount: $1)) }
    let open = try holdings.open(request.checkpoint, caller, note: note)
    notes.restart()
    if open.published != nil { options.sealed = true }
    var preload = Preload(
      open.lease, open.files, options, readsAgain: request.readAgain, for: caller, note: note)
    do { try preload.run() } catch { throw .status(CallStatus(error)) }
    guard preload.problems.isEmpty else {
      throw .status(
        CallStatus(open.files.explained(preload.problems), total: preload.problemCount))
    }
    var last = PreloadReply(checkpoint: holdings.isOpenedByCall ? open.reply : nil)
    last.tensorCount = preload.tensorCount
    last.byteCount = preload.byteCount
    last.uncheckedByteCount = open.checkpoint.uncheckedByteCount
    last.unshared = preload.unshared
    try reply.send { frame, scratch in frame.begin(last, scratch) }
  }
}
