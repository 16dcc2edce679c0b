import WarmstartMessages
import WarmstartStore
import WarmstartWire

extension Session {
  /// Answers `Attach`: keeps the frame's files under new ids.
  func attach(_ reply: Responder, _ caller: Caller) throws(CallFailure) {
    let ids = try holdings.attach(caller)
    try reply.send { frame, scratch in frame.begin(AttachReply(ids: ids), scratch) }
  }

  /// Answers `Open`: takes a lease and describes the checkpoint.
  func open(_ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller)
    throws(CallFailure)
  {
    let request = try request(call, OpenRequest.init(unpacking:_:))
    let open = try holdings.open(request.checkpoint, caller)
    try reply.send { frame, scratch in frame.begin(open.reply, scratch) }
  }

  /// Answers `Close`: closes the checkpoint's files and gives its lease back.
  func close(_ call: borrowing IncomingCall, _ reply: Responder) throws(CallFailure) {
    let request = try request(call, CloseRequest.init(unpacking:_:))
    try holdings.close(request.handle)
    try reply.send { frame, _ in frame.beginEmpty() }
  }
}
