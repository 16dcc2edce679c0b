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
  /// What the user pays for replies that are not read; nil for one that fits a new socket's buffer.
  private let share: RequestShare?
  /// When the client stops waiting.
  private let deadline: Deadline

  /// Makes a responder; id 0 speaks about the connection itself.
  init(
    _ connection: Connection, _ id: UInt64, _ share: RequestShare? = nil,
    until deadline: Deadline = .never
  ) {
    self.connection = connection
    self.id = id
    self.share = share
    self.deadline = deadline
  }

  /// Sends a response that `begin` puts into the frame, with files on it.
  ///
  /// Fails, and sends nothing, if no client would take so long a frame.
  func send(
    more: Bool = false, files: [File] = [], _ begin: (inout FieldWriter, Scratch) -> Void
  ) throws(CallFailure) {
    begin(&connection.outgoing, connection.scratch)
    var reply = Reply(id: id)
    reply.descriptorCount = files.count
    reply.more = more
    connection.outgoing.finish(reply)
    // Only the frame waits for a client that does not read.
    connection.scratch.giveBack()
    let byteCount = connection.outgoing.byteCount - Connection.prefixByteCount
    guard byteCount <= Connection.maximumReplyByteCount else {
      throw .status(
        CallStatus(
          .unsupported,
          "the answer has a part of \(byteCount) bytes that cannot be divided, expected at most "
            + "\(Connection.maximumReplyByteCount)"))
    }
    do { try share?.take(reply: byteCount, files: files.count) } catch {
      throw .status(CallStatus(error))
    }
    defer { share?.giveBack(reply: byteCount, files: files.count) }
    do { try connection.send(files, until: deadline) } catch { throw .wire(error) }
  }

  /// Sends how far the call is, unless the client has no room for that now.
  ///
  /// What is wrong with the connection shows when the call is answered.
  func note(_ progress: ResolveReply.Progress) {
    connection.outgoing.begin(progress)
    var reply = Reply(id: id)
    reply.more = true
    connection.outgoing.finish(reply)
    _ = try? connection.sendAtOnce()
  }

  /// Sends a failure.
  func fail(_ status: CallStatus) throws(WireError) {
    connection.outgoing.begin(status, connection.scratch)
    connection.outgoing.finish(Reply(id: id), isStatus: true)
    try connection.send()
  }
}
