import WarmstartKernel
import WarmstartProtobuf

/// The answers to clients that speak HTTP, in forms that HTTP libraries show to their users.
private enum HTTP {
  static let message =
    "this is Warmstart's socket: it speaks length-prefixed protobuf, not HTTP; "
    + "use the library WarmstartClient or the program warmstartctl"

  /// A whole response of HTTP/1.1; see RFC 9112.
  static var badRequest: [UInt8] {
    let head = [
      "HTTP/1.1 400 Bad Request", "Content-Type: text/plain", "Connection: close",
      "Content-Length: \(message.utf8.count + 1)",
    ]
    return Array("\(head.joined(separator: "\r\n"))\r\n\r\n\(message)\n".utf8)
  }

  // MARK: HTTP/2, see RFC 9113

  /// The bytes that a client sends first.
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  /// The bytes in front of each frame: length, type, flags, stream.
  static let headByteCount = 9
  /// The type of the frame that begins a request.
  static let headers: UInt8 = 1
  /// A server's first frame: empty SETTINGS.
  static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]

  /// The answer to a request of gRPC, UNIMPLEMENTED with the message, and the end of the
  /// connection.
  static func refusal(ofStream stream: [UInt8]) -> [UInt8] {
    // ":status: 200" is entry 8 of HPACK's static table; see RFC 7541.
    let fields: [UInt8] =
      [0x88] + field("content-type", "application/grpc") + field("grpc-status", "12")
      + field("grpc-message", message)
    let (endOfStream, endOfHeaders): (UInt8, UInt8) = (1, 4)
    // GOAWAY with the last stream that was processed, and NO_ERROR.
    let goAway: [UInt8] = [0, 0, 8, 7, 0, 0, 0, 0, 0] + stream + [0, 0, 0, 0]
    return [0, 0, UInt8(fields.count), headers, endOfStream | endOfHeaders] + stream + fields
      + goAway
  }

  /// A header field that HPACK spells out.
  private static func field(_ name: String, _ value: String) -> [UInt8] {
    [0] + text(name) + text(value)
  }

  private static func text(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    // A length of 127 and more takes a second byte.
    let length = bytes.count < 127 ? [UInt8(bytes.count)] : [127, UInt8(bytes.count - 127)]
    return length + bytes
  }
}

extension Connection {
  /// How long a client may go on sending before the connection is closed.
  private static let lingerMilliseconds = 1000
  /// The most bytes that a client may send meanwhile.
  private static let lingerByteCount = 64 << 10

  /// Answers a client that speaks HTTP, and reads the rest of what it sends.
  ///
  /// A client that finds the connection closed with bytes unread reports that instead of the
  /// answer.
  package func answerHTTP(version: Int) {
    var request = Rest(socket: socket, left: Connection.lingerByteCount)
    if version == 2 {
      say(HTTP.settings)
      if let stream = request.takeStream() { say(HTTP.refusal(ofStream: stream)) }
    } else {
      say(HTTP.badRequest)
    }
    socket.finishWriting()
    while request.take(1) != nil {}
  }

  /// Sends bytes that fit a new socket's buffer; a client that is gone needs none.
  private func say(_ bytes: [UInt8]) {
    _ = try? socket.send(bytes.rawSpan, waiting: false)
  }

  /// The bytes that a client still sends, as far as they are read.
  private struct Rest {
    let socket: Socket
    var left: Int
    let end = Deadline.after(milliseconds: Connection.lingerMilliseconds)

    /// Waits for the first HTTP/2 request, whose preface was read in part; returns its stream.
    mutating func takeStream() -> [UInt8]? {
      guard take(HTTP.preface.count - Connection.prefixByteCount) != nil else { return nil }
      while let head = take(HTTP.headByteCount) {
        if head[3] == HTTP.headers { return Array(head[5...]) }
        let length = head[..<3].reduce(0) { $0 << 8 | Int($1) }
        guard take(length) != nil else { return nil }
      }
      return nil
    }

    /// Waits for bytes; returns nil if they do not arrive, or are too many.
    mutating func take(_ count: Int) -> [UInt8]? {
      guard count <= left else { return nil }
      left -= count
      var bytes = [UInt8](repeating: 0, count: count)
      var received = 0
      while received < count {
        var poll = Poll()
        poll.add(socket.descriptor, for: .readable)
        guard (try? poll.wait(until: end)) == true else { return nil }
        var files: [File] = []
        let read =
          (try? socket.receive(
            into: &bytes, range: received..<count, descriptors: &files, waiting: false)) ?? 0
        guard read > 0 else { return nil }
        received += read
      }
      return bytes
    }
  }
}
