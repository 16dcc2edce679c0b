internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf

/// The response of `Attach`: an id for each of the frame's files.
///
/// The request is empty.
package struct AttachReply: Sendable, Hashable {
  package var ids: [UInt64]

  package init(ids: [UInt64]) {
    self.ids = ids
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__attach_reply__unpack($0, $1, $2) })
    ids = unsafe Array(
      UnsafeBufferPointer(start: message.pointee.ids, count: message.pointee.n_ids))
  }
}

extension FieldWriter {
  /// Begins a frame whose body is a message without fields.
  package mutating func beginEmpty() {
    begin()
  }

  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: AttachReply, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__AttachReply()
    unsafe warmstart__v1__attach_reply__init(&message)
    unsafe message.n_ids = reply.ids.count
    let ids = unsafe scratch.make(reply.ids.count, of: UInt64.self)
    for (index, id) in reply.ids.enumerated() { unsafe ids[index] = id }
    unsafe message.ids = ids
    unsafe begin(&message.base)
  }
}
