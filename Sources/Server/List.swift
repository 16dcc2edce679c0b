import WarmstartCheckpoint
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

extension Session {
  /// Answers `List`: all tensors in the order of their names, in several replies if there are many.
  ///
  /// The slices of one tensor may be divided among replies.
  func list(_ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller)
    throws(CallFailure)
  {
    let request = try request(call, OpenRequest.init(unpacking:_:))
    let open = try holdings.open(request.checkpoint, caller)
    let checkpoint = open.checkpoint
    var chunk = ListChunk(holdings.isOpenedByCall ? open.reply : nil)
    for position in 0..<checkpoint.catalog.count {
      let tensor = checkpoint.listed(position)
      chunk.append(tensor)
      for slice in checkpoint.catalog.slices(position) {
        if chunk.isFull {
          try chunk.send(reply, more: true)
          chunk.append(tensor)
        }
        chunk.append(slice)
      }
      if chunk.isFull { try chunk.send(reply, more: true) }
    }
    try chunk.send(reply, more: false)
  }
}

/// The tensors of the next reply; the last one may have only some of its slices.
private struct ListChunk {
  private var reply: ListReply
  private var byteCount = 0

  init(_ checkpoint: OpenReply?) {
    reply = ListReply(checkpoint: checkpoint, tensors: [])
  }

  var isFull: Bool { byteCount >= Responder.chunkByteCount }

  mutating func send(_ responder: Responder, more: Bool) throws(CallFailure) {
    try responder.send(more: more) { frame, scratch in
      frame.begin(reply, scratch)
      // Freed before the client reads the frame.
      self = ListChunk(nil)
    }
  }

  /// Adds a tensor, whose slices are then added one by one.
  mutating func append(_ tensor: ListReply.Tensor) {
    reply.tensors.append(tensor)
    byteCount += 24 + tensor.name.bytes.count + tensor.shape.rank * 8
  }

  /// Adds a slice of the last tensor.
  mutating func append(_ slice: TensorSlice) {
    reply.tensors[reply.tensors.count - 1].slices.append(slice)
    byteCount += 4 + slice.starts.count * 16
  }
}

extension Checkpoint {
  /// A tensor without its slices.
  fileprivate func listed(_ position: Int) -> ListReply.Tensor {
    ListReply.Tensor(
      name: catalog.name(position), dtype: catalog.dtype(position),
      shape: catalog.shape(position), byteCount: byteCount(of: position), slices: [])
  }
}
