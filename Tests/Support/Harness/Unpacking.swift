package import WarmstartMessages
package import WarmstartProtobuf

/// Unpacks a response of `Resolve` that is the first to its call.
package func unpackResolveReply(
  _ bytes: RawSpan, _ scratch: Scratch
) throws(MessageError) -> ResolveReply {
  try ResolveReply(unpacking: bytes, scratch)
}
