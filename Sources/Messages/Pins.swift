internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf

/// The request of `Unpin` and of `Evict`: a checkpoint by the generation that reports show.
package struct GenerationRequest: Sendable, Hashable {
  /// For `Evict`, empty for all checkpoints that nothing keeps.
  package var generation: String

  package init(generation: String) {
    self.generation = generation
  }

  /// Unpacks an `UnpinRequest`, whose field `EvictRequest` has as well.
  ///
  /// Read without protobuf-c, whose strings end at a NUL: a generation that begins with one would
  /// stand for all checkpoints.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    var reader = FieldReader(message.span)
    generation = ""
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let range)):
        generation = String(decoding: message[range], as: UTF8.self)
      case (1, _): throw .malformed("a generation that is not a text")
      default: break
      }
    }
  }
}

/// The response of `Pin`.
///
/// The request is `Open`'s.
package struct PinReply: Sendable, Hashable {
  /// If the call opened the checkpoint.
  package var checkpoint: OpenReply?

  package init(checkpoint: OpenReply?) {
    self.checkpoint = checkpoint
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__pin_reply__unpack($0, $1, $2) })
    checkpoint = unsafe message.pointee.checkpoint.map { unsafe OpenReply($0.pointee) }
  }
}

/// The response of `Evict`: how many checkpoints were evicted.
package struct EvictReply: Sendable, Hashable {
  package var checkpointCount: Int

  package init(checkpointCount: Int) {
    self.checkpointCount = checkpointCount
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__evict_reply__unpack($0, $1, $2) })
    checkpointCount = unsafe Int(message.pointee.checkpoint_count)
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: GenerationRequest) {
    begin()
    let bytes = Array(request.generation.utf8)
    prepend(field: 1, bytes.span)
  }

  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: PinReply, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__PinReply()
    unsafe warmstart__v1__pin_reply__init(&message)
    if let checkpoint = reply.checkpoint {
      unsafe message.checkpoint = checkpoint.message(scratch)
    }
    unsafe begin(&message.base)
  }

  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: EvictReply) {
    begin()
    prepend(field: 1, UInt64(reply.checkpointCount))
  }
}
