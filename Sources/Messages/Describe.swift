internal import CWarmstartMessages
package import WarmstartProtobuf

/// The response of `Describe`: the protocol, as a `google.protobuf.FileDescriptorSet`.
package enum Description {
  /// The descriptor set that the messages were generated with.
  package static var descriptorSet: [UInt8] {
    unsafe Array(
      UnsafeBufferPointer(
        start: cmessages_descriptor_set_bytes(), count: cmessages_descriptor_set_size))
  }

  /// Reads the response.
  package static func descriptorSet(
    unpacking bytes: RawSpan, _ scratch: Scratch
  ) throws(MessageError) -> [UInt8] {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply,
      { unsafe warmstart__v1__describe_reply__unpack($0, $1, $2) })
    return unsafe Array(WarmstartProtobuf.bytes(pointer.pointee.descriptor_set))
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the response of `Describe`.
  package mutating func beginDescription() {
    let bytes = Description.descriptorSet
    begin(reserving: bytes.count)
    prepend(field: 1, bytes.span)
  }
}
