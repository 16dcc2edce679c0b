import Checkpoint
import Messages
import Store
import TensorModel

extension Session {
  /// Answers `List`: all tensors by name, in chunks.
  func list(_ call: Call, _ reply: Responder, _ caller: Caller) throws(CallFailure) {
    let request = try request(call, OpenRequest.init(unpacking:_:))
    let open = try open(request.checkpoint, caller)
    let checkpoint = open.checkpoint
    var chunk = ListReply(checkpoint: isOpenedByCall ? open.reply : nil, tensors: [])
    var byteCount = 0
    for position in 0..<checkpoint.catalog.count {
      let tensor = checkpoint.listed(position)
      chunk.tensors.append(tensor)
      byteCount +=
        24 + tensor.name.bytes.count + tensor.shape.rank * 8 * (1 + 2 * tensor.slices.count)
      guard byteCount >= Responder.chunkByteCount else { continue }
      try reply.send(more: true) { frame, scratch in frame.begin(chunk, scratch) }
      chunk = ListReply(checkpoint: nil, tensors: [])
      byteCount = 0
    }
    try reply.send { frame, scratch in frame.begin(chunk, scratch) }
  }
}

extension Checkpoint {
  fileprivate func listed(_ position: Int) -> ListReply.Tensor {
    ListReply.Tensor(
      name: catalog.name(position), dtype: catalog.dtype(position),
      shape: catalog.shape(position), byteCount: byteCount(of: position),
      slices: catalog.slices(position))
  }
}
