import Kernel

/// What a client that speaks HTTP is answered, in words that its own library shows.
enum HTTP {
  private static let message =
    "this is Warmstart's socket: it speaks length-prefixed protobuf, not HTTP; "
    + "use the library WarmstartClient or the program warmstartctl"

  /// A whole answer of HTTP/1.1, or the frames that end a connection of HTTP/2.
  static func answer(version: Int) -> [UInt8] { version == 2 ? goAway : badRequest }

  /// See RFC 9112.
  private static var badRequest: [UInt8] {
    let head = [
      "HTTP/1.1 400 Bad Request", "Content-Type: text/plain", "Connection: close",
      "Content-Length: \(message.utf8.count + 1)",
    ]
    return Array("\(head.joined(separator: "\r\n"))\r\n\r\n\(message)\n".utf8)
  }

  /// The settings that a server begins with, and GOAWAY with the message; see RFC 9113, 6.5 and 6.8.
  private static var goAway: [UInt8] {
    let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
    let text = Array(message.utf8)
    // No stream was processed; PROTOCOL_ERROR.
    let fixed: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1]
    let length = UInt8(fixed.count + text.count)
    return settings + [0, 0, length, 7, 0, 0, 0, 0, 0] + fixed + text
  }
}

extension Connection {
  /// How long a client may go on after it was answered, before the connection is closed.
  private static let lingerMilliseconds = 1000
  /// What a client may send meanwhile.
  private static let lingerByteCount = 64 << 10

  /// Answers a client that speaks HTTP, and reads what it still sends.
  ///
  /// A client that finds the connection closed with bytes unread reports that instead of the answer.
  package func answerHTTP(version: Int) {
    let answer = HTTP.answer(version: version)
    // It fits a new socket's buffer; a client that is gone needs none.
    _ = try? socket.send(answer.rawSpan, waiting: false)
    let deadline = Deadline.after(milliseconds: Connection.lingerMilliseconds)
    var rest = [UInt8](repeating: 0, count: 4 << 10)
    var left = Connection.lingerByteCount
    socket.finishWriting()
    while left > 0 {
      var poll = Poll()
      poll.add(socket.descriptor, for: .readable)
      guard (try? poll.wait(until: deadline)) == true else { return }
      var files: [File] = []
      let count =
        (try? socket.receive(
          into: &rest, range: rest.indices, descriptors: &files, waiting: false)) ?? 0
      guard count > 0 else { return }
      left -= count
    }
  }
}
