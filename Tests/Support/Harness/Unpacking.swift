package import WarmstartMessages
package import WarmstartProtobuf

/// Unpacks the first response to a `Resolve` call.
package func unpackResolveReply(
  _ bytes: RawSpan, _ scratch: Scratch
) throws(MessageError) -> ResolveReply {
  try ResolveReply(unpacking: bytes, scratch)
}
