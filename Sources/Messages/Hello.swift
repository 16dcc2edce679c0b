internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf

/// The version of the protocol that this code speaks.
package let protocolVersion = 1

/// The request of `Hello`: who calls.
package struct HelloRequest: Sendable, Hashable {
  package var label: String
  package var command: String

  package init(label: String, command: String) {
    self.label = label
    self.command = command
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.request(bytes.byteCount),
      { unsafe warmstart__v1__hello_request__unpack($0, $1, $2) })
    try unsafe Scratch.expectWholeTexts(in: bytes, of: message.pointee.base)
    label = unsafe text(message.pointee.label)
    command = unsafe text(message.pointee.command)
  }
}

/// The response of `Hello`: what the daemon can do.
package struct HelloReply: Sendable, Hashable {
  package var daemonVersion: String
  package var features: [String]
  package var maximumRequestByteCount: Int
  package var maximumDescriptors: Int
  package var maximumFiles: Int
  package var maximumReplyByteCount: Int

  package init(
    daemonVersion: String, features: [String], maximumRequestByteCount: Int,
    maximumDescriptors: Int, maximumFiles: Int, maximumReplyByteCount: Int
  ) {
    self.daemonVersion = daemonVersion
    self.features = features
    self.maximumRequestByteCount = maximumRequestByteCount
    self.maximumDescriptors = maximumDescriptors
    self.maximumFiles = maximumFiles
    self.maximumReplyByteCount = maximumReplyByteCount
  }

  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let pointer = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__hello_reply__unpack($0, $1, $2) })
    let message = unsafe pointer.pointee
    daemonVersion = unsafe text(message.daemon_version)
    features = unsafe UnsafeBufferPointer(start: message.features, count: message.n_features)
      .map { unsafe text($0) }
    maximumRequestByteCount = unsafe Int(message.maximum_request_bytes)
    maximumDescriptors = unsafe Int(message.maximum_descriptors)
    maximumFiles = unsafe Int(message.maximum_files)
    maximumReplyByteCount = unsafe Int(message.maximum_reply_bytes)
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the request.
  package mutating func begin(_ request: HelloRequest, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__HelloRequest()
    unsafe warmstart__v1__hello_request__init(&message)
    unsafe message.version = UInt32(protocolVersion)
    unsafe message.label = scratch.text(request.label)
    unsafe message.command = scratch.text(request.command)
    unsafe begin(&message.base)
  }

  /// Begins a frame whose body is the response.
  package mutating func begin(_ reply: HelloReply, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__HelloReply()
    unsafe warmstart__v1__hello_reply__init(&message)
    unsafe message.version = UInt32(protocolVersion)
    unsafe message.daemon_version = scratch.text(reply.daemonVersion)
    unsafe message.n_features = reply.features.count
    let features = unsafe scratch.make(
      reply.features.count, of: UnsafeMutablePointer<CChar>?.self)
    for (index, feature) in reply.features.enumerated() {
      unsafe features[index] = scratch.text(feature)
    }
    unsafe message.features = features
    unsafe message.maximum_request_bytes = UInt32(clamping: reply.maximumRequestByteCount)
    unsafe message.maximum_descriptors = UInt32(clamping: reply.maximumDescriptors)
    unsafe message.maximum_files = UInt32(clamping: reply.maximumFiles)
    unsafe message.maximum_reply_bytes = UInt32(clamping: reply.maximumReplyByteCount)
    unsafe begin(&message.base)
  }
}
