internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf

/// The request of `Open`, and of other calls that are about a checkpoint and nothing more.
package struct OpenRequest: Sendable, Hashable {
  package var checkpoint: CheckpointReference

  package init(_ checkpoint: CheckpointReference) {
    self.checkpoint = checkpoint
  }

  /// Unpacks the request; `ListRequest` and others have the same field.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.request(bytes.byteCount),
      { unsafe warmstart__v1__open_request__unpack($0, $1, $2) })
    checkpoint = try unsafe CheckpointReference(
      message.pointee.checkpoint, of: message.pointee.base, in: bytes)
  }
}

/// The response of `Open`: what was opened.
///
/// Also in the first reply of the calls that open.
package struct OpenReply: Sendable, Hashable {
  /// For further calls on this connection.
  package var handle: UInt64
  /// The identity of the checkpoint's bytes.
  package var generation: String
  /// `v2` or `v1`.
  package var format: String
  package var tensorCount: Int
  /// The bytes of all tensors.
  package var byteCount: Int
  /// The SHA-256 of the files, 32 bytes; empty unless a call has asked for it.
  package var sha256: [UInt8] = []

  package init(
    handle: UInt64, generation: String, format: String, tensorCount: Int, byteCount: Int
  ) {
    self.handle = handle
    self.generation = generation
    self.format = format
    self.tensorCount = tensorCount
    self.byteCount = byteCount
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__open_reply__unpack($0, $1, $2) })
    unsafe self.init(message.pointee)
  }

  init(_ message: Warmstart__V1__OpenReply) {
    handle = unsafe message.handle
    generation = unsafe text(message.generation)
    format = unsafe text(message.format)
    tensorCount = unsafe Int(clamping: message.tensor_count)
    byteCount = unsafe Int(clamping: message.byte_count)
    sha256 = unsafe Array(bytes(message.sha256))
  }

  func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__OpenReply> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__OpenReply.self)
    unsafe warmstart__v1__open_reply__init(message)
    unsafe message.pointee.handle = handle
    unsafe message.pointee.generation = scratch.text(generation)
    unsafe message.pointee.format = scratch.text(format)
    unsafe message.pointee.tensor_count = UInt64(tensorCount)
    unsafe message.pointee.byte_count = UInt64(byteCount)
    unsafe message.pointee.sha256 = scratch.bytes(sha256[...])
    return unsafe message
  }
}

/// The request of `Close`: the handle that is given back.
///
/// The response is empty.
package struct CloseRequest: Sendable, Hashable {
  package var handle: UInt64

  package init(handle: UInt64) {
    self.handle = handle
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.request(bytes.byteCount),
      { unsafe warmstart__v1__close_request__unpack($0, $1, $2) })
    handle = unsafe message.pointee.handle
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: OpenRequest, _: Scratch) {
    begin()
    prepend(field: 1) { frame in frame.prepend(request.checkpoint) }
  }

  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: OpenReply, _ scratch: Scratch) {
    scratch.begin()
    let message = unsafe reply.message(scratch)
    unsafe begin(&message.pointee.base)
  }

  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: CloseRequest, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__CloseRequest()
    unsafe warmstart__v1__close_request__init(&message)
    unsafe message.handle = request.handle
    unsafe begin(&message.base)
  }
}
