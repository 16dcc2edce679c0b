import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartWire

/// Sends the replies to one call.
struct Responder {
  /// Long replies are sent in messages of about this size.
  static let chunkByteCount = 768 << 10

  private let connection: Connection
  private let id: UInt64
  /// Charges replies that wait to be read; nil for a reply that fits a new socket's buffer.
  private let share: RequestShare?
  /// When the client stops waiting.
  private let deadline: Deadline

  /// Makes a responder to the call of an id; id 0 stands for the connection itself.
  init(
    _ connection: Connection, _ id: UInt64, _ share: RequestShare? = nil,
    until deadline: Deadline = .never
  ) {
    self.connection = connection
    self.id = id
    self.share = share
    self.deadline = deadline
  }

  /// Sends a response, which `begin` writes into the frame, with files.
  ///
  /// Throws, and sends nothing, if the frame is longer than any client takes, or if `check`, which
  /// runs before the frame is sent, throws.
  func send(
    more: Bool = false, files: [File] = [], _ begin: (inout FieldWriter, Scratch) -> Void,
    after check: () throws(Problem) -> Void = {}
  ) throws(CallFailure) {
    var reply = Reply(id: id)
    reply.descriptorCount = files.count
    reply.more = more
    let byteCount = connection.compose { frame, scratch in
      begin(&frame, scratch)
      frame.finish(reply)
    }
    guard byteCount <= Connection.maximumReplyByteCount else {
      throw .status(
        CallStatus(
          .unsupported,
          "the reply has an indivisible part of \(byteCount) bytes, expected at most "
            + "\(Connection.maximumReplyByteCount)"))
    }
    do {
      try check()
      try share?.take(reply: byteCount, files: files.count)
    } catch {
      throw .status(CallStatus(error))
    }
    defer { share?.giveBack(reply: byteCount, files: files.count) }
    do { try connection.send(files, until: deadline) } catch { throw .wire(error) }
  }

  /// Sends a note about the call's progress, unless the client's socket is full.
  ///
  /// A failure of the connection shows when the call is answered.
  func note(_ progress: ResolveReply.Progress, ofPreload: Bool = false) {
    var reply = Reply(id: id)
    reply.more = true
    _ = connection.compose { frame, _ in
      frame.begin(progress, ofPreload: ofPreload)
      frame.finish(reply)
    }
    _ = try? connection.sendAtOnce()
  }

  /// Sends a failure.
  func fail(_ status: CallStatus) throws(WireError) {
    _ = connection.compose { frame, scratch in
      frame.begin(status, scratch)
      frame.finish(Reply(id: id), isStatus: true)
    }
    try connection.send()
  }
}
