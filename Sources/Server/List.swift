import WarmstartCheckpoint
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

extension Session {
  /// Answers `List`: all tensors by name, in chunks, which also divide the slices of one tensor.
  func list(_ call: Call, _ reply: Responder, _ caller: Caller) throws(CallFailure) {
    let request = try request(call, OpenRequest.init(unpacking:_:))
    let open = try open(request.checkpoint, caller)
    let checkpoint = open.checkpoint
    var chunk = ListChunk(isOpenedByCall ? open.reply : nil)
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

/// The tensors that the next reply has, and those of the last one's slices that are in it.
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
      // Before the client reads it.
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
