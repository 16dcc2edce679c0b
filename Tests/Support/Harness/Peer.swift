internal import SystemPackage
package import WarmstartKernel
package import WarmstartMessages
package import WarmstartProtobuf
package import WarmstartWire

/// The client's end of a session, which can send any bytes.
package final class Peer {
  /// What a peer received instead of an answer.
  package enum Failure: Error {
    case nothingCame
    case endedInFrame
  }

  /// A frame from the daemon.
  package struct Answer {
    package let reply: Reply
    package let message: [UInt8]
    package let files: [File]
    package let status: CallStatus?

    package var id: UInt64 { reply.id }
    /// The failure's reason; nil for a response.
    package var reason: String? { status?.reason.rawValue }
    /// The response message.
    package var response: ArraySlice<UInt8> { message[reply.response] }
  }

  package let socket: Socket
  private let scratch = Scratch()
  private var lastID: UInt64 = 0

  package init(_ socket: Socket) {
    self.socket = socket
  }

  // MARK: Sending

  /// Sends bytes unchanged, with files on the first of them.
  package func send(_ bytes: [UInt8], _ files: [File] = []) throws {
    var sent = 0
    while sent < bytes.count {
      let rest = bytes[sent...]
      sent += try socket.send(
        rest.rawSpan, descriptors: sent == 0 ? files : [], waiting: true)
    }
  }

  /// Sends a call whose request `begin` writes into the frame; returns the call's id.
  @discardableResult
  package func call(
    _ method: Method, files: [File] = [], features: [String] = [], timeout: Int? = nil,
    _ begin: (inout FieldWriter, Scratch) -> Void = { frame, _ in frame.beginEmpty() }
  ) throws -> UInt64 {
    lastID += 1
    var frame = FieldWriter()
    begin(&frame, scratch)
    var call = Call(id: lastID)
    call.descriptorCount = files.count
    call.timeoutMilliseconds = timeout
    call.requiredFeatures = features
    frame.finish(call, path: method.path)
    try send(frame.copy(), files)
    return lastID
  }

  /// Opens a checkpoint and returns the answer.
  package func open(_ files: [File], _ reference: CheckpointReference) throws -> Answer {
    try call(.open, files: files) { $0.begin(OpenRequest(reference), $1) }
    return try answer()
  }

  /// Ends what this peer sends.
  package func finishWriting() {
    halfClose(socket)
  }

  // MARK: Receiving

  /// Waits for a frame; returns nil if the daemon closes instead.
  package func next(within milliseconds: Int = 120_000) throws -> Answer? {
    var files: [File] = []
    guard let frame = try frame(&files, within: milliseconds) else { return nil }
    let message = Array(frame[Connection.prefixByteCount...])
    let reply = try Reply(parsing: message[...])
    var status: CallStatus?
    if let range = reply.status {
      let bytes = message[range]
      status = try CallStatus(unpacking: bytes.rawSpan, scratch)
    }
    return Answer(reply: reply, message: message, files: files, status: status)
  }

  /// Waits for a frame and returns its bytes; nil if the other end closes instead.
  package func frame(_ files: inout [File], within milliseconds: Int = 120_000) throws -> [UInt8]? {
    let deadline = Deadline.after(milliseconds: milliseconds)
    guard let prefix = try receive(Connection.prefixByteCount, &files, deadline) else {
      return nil
    }
    let count = prefix[1...].reduce(0) { $0 << 8 | Int($1) }
    guard let message = try receive(count, &files, deadline) else { throw Failure.endedInFrame }
    return prefix + message
  }

  /// Waits for a frame; throws if the daemon closes instead.
  package func answer(within milliseconds: Int = 120_000) throws -> Answer {
    guard let answer = try next(within: milliseconds) else { throw Failure.nothingCame }
    return answer
  }

  /// Unpacks a response.
  package func unpack<Message>(
    _ answer: Answer, _ unpack: (RawSpan, Scratch) throws -> Message
  ) throws -> Message {
    let response = answer.response
    return try unpack(response.rawSpan, scratch)
  }

  /// Receives a number of bytes; nil if the daemon closes before the first.
  package func receive(
    _ count: Int, _ files: inout [File], _ deadline: Deadline
  ) throws -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var received = 0
    while received < count {
      var poll = Poll()
      poll.add(socket.descriptor, for: .readable)
      guard try poll.wait(until: deadline) else { throw Failure.nothingCame }
      let read = try receiveSome(into: &bytes, received..<count, &files)
      if read == 0 {
        guard received == 0 else { throw Failure.endedInFrame }
        return nil
      }
      received += read
    }
    return bytes
  }

  /// Waits until the daemon closes; returns all bytes before that.
  package func receiveToEnd(within milliseconds: Int = 120_000) throws -> [UInt8] {
    let deadline = Deadline.after(milliseconds: milliseconds)
    var all: [UInt8] = []
    var files: [File] = []
    while let byte = try receive(1, &files, deadline) { all += byte }
    return all
  }

  private func receiveSome(
    into bytes: inout [UInt8], _ range: Range<Int>, _ files: inout [File]
  ) throws -> Int {
    do {
      return try socket.receive(into: &bytes, range: range, descriptors: &files, waiting: true)
    } catch {
      // The daemon closed before it had read everything that was sent.
      guard error == Errno.connectionReset else { throw error }
      return 0
    }
  }
}
