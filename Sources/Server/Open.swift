import WarmstartMessages
import WarmstartStore
import WarmstartWire

extension Session {
  /// Answers `Attach`: keeps the frame's files under new ids.
  func attach(_ reply: Responder, _ caller: Caller) throws(CallFailure) {
    let ids = try keepFiles(caller)
    try reply.send { frame, scratch in frame.begin(AttachReply(ids: ids), scratch) }
  }

  /// Answers `Open`: takes a lease and tells what was opened.
  func open(_ call: Call, _ reply: Responder, _ caller: Caller) throws(CallFailure) {
    let request = try request(call, OpenRequest.init(unpacking:_:))
    let open = try open(request.checkpoint, caller)
    try reply.send { frame, scratch in frame.begin(open.reply, scratch) }
  }

  /// Answers `Close`: gives a lease back.
  func close(_ call: Call, _ reply: Responder) throws(CallFailure) {
    let request = try request(call, CloseRequest.init(unpacking:_:))
    try close(request.handle)
    try reply.send { frame, _ in frame.beginEmpty() }
  }
}
