import WarmstartCheckpoint
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

// The calls of administrators: which checkpoints stay, and which go.

extension Session {
  /// Answers `Pin`: the checkpoint stays although this connection ends, under a name if the request
  /// has one.
  func pin(_ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller)
    throws(CallFailure)
  {
    let request = try request(call, PinRequest.init(unpacking:_:))
    let open = try holdings.open(request.checkpoint, caller)
    guard open.published == nil else {
      throw .status(
        CallStatus(.invalidRequest, "the call pins a checkpoint by its name, expected its files"))
    }
    var pinned = PinReply(checkpoint: holdings.isOpenedByCall ? open.reply : nil)
    var replaced: NamedCheckpoint?
    do throws(Problem) {
      // First, because the pin must not stay without the lock.
      let lock = request.isLocked ? try daemon.store.lock(open.lease, open.files, for: caller) : nil
      if let publication = request.publication {
        replaced = try daemon.store.publish(open.lease, open.files, as: publication)
        if let replaced {
          pinned.replacedGeneration = replaced.generation.description
          pinned.replacedLabel = replaced.label
        }
      } else {
        daemon.store.pin(open.lease)
      }
      if let lock { daemon.store.keep(lock, of: open.lease) }
    } catch { throw .status(CallStatus(error)) }
    daemon.notePin(open.lease, as: request.publication?.name, replacing: replaced, by: client)
    try reply.send { frame, scratch in frame.begin(pinned, scratch) }
  }

  /// Answers `Unpin`.
  func unpin(_ call: borrowing IncomingCall, _ reply: Responder) throws(CallFailure) {
    let request = try request(call, GenerationRequest.init(unpacking:_:))
    do throws(Problem) {
      if let name = request.name {
        let name = try PublishedName(name)
        daemon.noteEnd(of: name, try daemon.store.unpublish(name), by: client)
      } else {
        let (label, names) = try daemon.store.unpin(request.generation)
        daemon.noteUnpin(request.generation, label: label, names, by: client)
      }
    } catch { throw .status(CallStatus(error)) }
    try reply.send { frame, _ in frame.beginEmpty() }
  }

  /// Answers `Evict`: one checkpoint, or all that nothing keeps.
  func evict(_ call: borrowing IncomingCall, _ reply: Responder) throws(CallFailure) {
    let request = try request(call, GenerationRequest.init(unpacking:_:))
    let count: Int
    var (pinnedCount, leasedCount) = (0, 0)
    guard request.name == nil else {
      throw .status(
        CallStatus(
          .invalidRequest, "the call evicts a checkpoint by its name, expected a generation"))
    }
    if request.generation.isEmpty {
      count = daemon.store.evictAll()
      for use in daemon.store.residents {
        if use.isPinned { pinnedCount += 1 } else if use.leaseCount > 0 { leasedCount += 1 }
      }
    } else {
      do { count = try daemon.store.evict(request.generation) } catch {
        throw .status(CallStatus(error))
      }
    }
    try reply.send { frame, _ in
      frame.begin(
        Evicted(checkpointCount: count, pinnedCount: pinnedCount, leasedCount: leasedCount))
    }
  }
}
