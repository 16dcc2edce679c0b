internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

/// The request of `Preload`: a checkpoint, and how jobs will ask for its tensors.
package struct PreloadRequest: Sendable, Hashable {
  package var checkpoint: CheckpointReference
  /// As in `ResolveRequest.Options`.
  package var alignment = 0
  package var sealed = false
  /// All bytes are read from the files again; no arena is made.
  package var readAgain = false
  /// As in `ResolveRequest.Options`.
  package var strides = false

  package init(_ checkpoint: CheckpointReference) {
    self.checkpoint = checkpoint
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.request(bytes.byteCount),
      { unsafe warmstart__v1__preload_request__unpack($0, $1, $2) })
    checkpoint = try unsafe CheckpointReference(
      message.pointee.checkpoint, of: message.pointee.base, in: bytes)
    alignment = unsafe Int(message.pointee.alignment)
    sealed = unsafe message.pointee.sealed != 0
    readAgain = unsafe message.pointee.read_again != 0
    strides = unsafe message.pointee.strides != 0
  }
}

/// A response of `Preload`: in the last one the counts, in those before only the progress.
package struct PreloadReply: Sendable, Hashable {
  /// In the first response, if the call opened the checkpoint.
  package var checkpoint: OpenReply?
  /// In a response that has nothing else.
  package private(set) var progress: ResolveReply.Progress?
  /// The tensors that were read, and their stored bytes.
  package var tensorCount = 0
  package var byteCount = 0
  /// The stored bytes that the files have no checksum of.
  package var uncheckedByteCount = 0
  /// The tensors that cannot be shared, and were not read.
  package var unshared: [Problem] = []

  /// Makes the last response.
  package init(checkpoint: OpenReply?) {
    self.checkpoint = checkpoint
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply,
      { unsafe warmstart__v1__preload_reply__unpack($0, $1, $2) })
    let message = unsafe pointer.pointee
    checkpoint = unsafe message.checkpoint.map { unsafe OpenReply($0.pointee) }
    if let progress = unsafe message.progress?.pointee {
      self.progress = unsafe ResolveReply.Progress(
        readyByteCount: Int(clamping: progress.ready_bytes),
        totalByteCount: Int(clamping: progress.total_bytes))
    }
    tensorCount = unsafe Int(clamping: message.tensor_count)
    byteCount = unsafe Int(clamping: message.byte_count)
    uncheckedByteCount = unsafe Int(clamping: message.unchecked_byte_count)
    unshared = unsafe [Problem](message.unshared, message.n_unshared)
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: PreloadRequest) {
    begin()
    if request.strides { prepend(field: 5, 1) }
    if request.readAgain { prepend(field: 4, 1) }
    if request.sealed { prepend(field: 3, 1) }
    if request.alignment > 0 { prepend(field: 2, UInt64(request.alignment)) }
    prepend(field: 1) { frame in frame.prepend(request.checkpoint) }
  }

  /// Begins a frame whose body is the last response.
  package mutating func begin(_ reply: PreloadReply, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__PreloadReply()
    unsafe warmstart__v1__preload_reply__init(&message)
    if let checkpoint = reply.checkpoint {
      unsafe message.checkpoint = checkpoint.message(scratch)
    }
    unsafe message.tensor_count = UInt64(reply.tensorCount)
    unsafe message.byte_count = UInt64(reply.byteCount)
    unsafe message.unchecked_byte_count = UInt64(reply.uncheckedByteCount)
    let unshared = CallStatus.capped(reply.unshared)
    unsafe message.n_unshared = unshared.count
    unsafe message.unshared = scratch.messages(unshared) { unsafe $0.fill($1, scratch) }
    unsafe begin(&message.base)
  }
}
