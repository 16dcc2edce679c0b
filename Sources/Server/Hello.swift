import WarmstartMessages
import WarmstartTensorModel
import WarmstartWire

extension Session {
  /// Answers `Hello`: remembers the client's label and command, and reports the daemon's features.
  func hello(_ call: borrowing IncomingCall, _ reply: Responder) throws(CallFailure) {
    let request = try request(call, HelloRequest.init(unpacking:_:))
    client.introduce(label: request.label, command: request.command)
    try reply.send { frame, scratch in
      frame.begin(
        HelloReply(
          daemonVersion: Daemon.version, features: Daemon.features,
          maximumRequestByteCount: Connection.maximumRequestByteCount,
          maximumDescriptors: Connection.maximumDescriptors, maximumFiles: maximumCheckpointFiles,
          maximumReplyByteCount: Connection.maximumReplyByteCount),
        scratch)
    }
  }
}
