import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

// The calls of administrators: which checkpoints stay, and which go.

extension Session {
  /// Answers `Pin`: the checkpoint stays although this connection ends.
  func pin(_ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller)
    throws(CallFailure)
  {
    let request = try request(call, OpenRequest.init(unpacking:_:))
    let open = try holdings.open(request.checkpoint, caller)
    daemon.store.pin(open.lease)
    let opened = holdings.isOpenedByCall ? open.reply : nil
    try reply.send { frame, scratch in frame.begin(PinReply(checkpoint: opened), scratch) }
  }

  /// Answers `Unpin`.
  func unpin(_ call: borrowing IncomingCall, _ reply: Responder) throws(CallFailure) {
    let request = try request(call, GenerationRequest.init(unpacking:_:))
    do { try daemon.store.unpin(request.generation) } catch { throw .status(CallStatus(error)) }
    try reply.send { frame, _ in frame.beginEmpty() }
  }

  /// Answers `Evict`: one checkpoint, or all that nothing keeps.
  func evict(_ call: borrowing IncomingCall, _ reply: Responder) throws(CallFailure) {
    let request = try request(call, GenerationRequest.init(unpacking:_:))
    let count: Int
    if request.generation.isEmpty {
      count = daemon.store.evictAll()
    } else {
      do { count = try daemon.store.evict(request.generation) } catch {
        throw .status(CallStatus(error))
      }
    }
    try reply.send { frame, _ in frame.begin(EvictReply(checkpointCount: count)) }
  }
}
