import SystemPackage
import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel
import WarmstartWire

/// One connection of a monitoring system, which asks for the metrics over HTTP/1.1.
///
/// Each connection is answered once and closed, so that none keeps a thread for longer than
/// `milliseconds`, whatever its client sends or reads.
struct Scrape {
  /// How long a connection may last, in milliseconds; chosen, not tuned.
  private static let milliseconds = 5000
  /// The most bytes that a client may send after its request; chosen, not tuned.
  private static let ignoredByteCount = 64 << 10

  /// What a client sends first that takes this socket for the clients'; no HTTP request begins with
  /// it.
  private static let firstByteOfFrame: UInt8 = 0

  private let socket: Socket
  private let daemon: Daemon
  private let end = Deadline.after(milliseconds: Scrape.milliseconds)

  init(_ client: Client, of daemon: Daemon) {
    socket = client.socket
    self.daemon = daemon
  }

  /// Reads the request and answers it.
  func run() {
    do throws(HTTPStatus) {
      guard let head = try receiveHead() else { return }
      guard head.first != Scrape.firstByteOfFrame else { return refuseCalls() }
      let request = try HTTPRequest(head)
      let response = try answer(request)
      Scrape.send(response.bytes(withBody: request.method != "HEAD"), to: socket, until: end)
    } catch {
      Scrape.send(Scrape.failure(error).bytes(), to: socket, until: end)
    }
    socket.finishWriting()
    ignoreRest()
  }

  private func answer(_ request: HTTPRequest) throws(HTTPStatus) -> HTTPResponse {
    guard request.path == "/metrics" else { throw .notFound }
    guard ["GET", "HEAD"].contains(request.method) else { throw .methodNotAllowed }
    // Prometheus' older text for who does not ask for OpenMetrics; most take both.
    guard
      let format = [OpenMetrics.Format.openMetrics, .text].first(where: {
        request.accepts($0.mediaType)
      })
    else { throw .notAcceptable }
    let text = OpenMetrics(daemon.report(for: nil), as: format).text
    return HTTPResponse(.ok, type: format.contentType, text)
  }

  /// Says to a client of Warmstart's protocol, in that protocol, that this socket speaks HTTP.
  private func refuseCalls() {
    let problem = Problem(
      .unsupported,
      "this is the metrics socket, which speaks HTTP: connect to the clients' socket instead")
    // A client that is gone needs no answer.
    try? Responder(Connection(socket), 0).fail(CallStatus(problem))
    socket.finishWriting()
    ignoreRest()
  }

  /// Refuses a connection at once, without waiting for its request.
  static func refuse(_ socket: Socket) {
    // The answer fits a new socket's buffer.
    send(failure(.unavailable).bytes(), to: socket, until: .after(milliseconds: 0))
  }

  private static func failure(_ status: HTTPStatus) -> HTTPResponse {
    let text =
      switch status {
      case .notFound: "the metrics are at /metrics"
      case .methodNotAllowed: "the metrics can be read with GET and HEAD"
      case .notAcceptable:
        "the metrics are \(OpenMetrics.Format.openMetrics.mediaType) or "
          + OpenMetrics.Format.text.mediaType
      case .requestTimeout: "the request did not arrive within \(milliseconds / 1000) s"
      case .headTooLarge:
        "the request's head is too long, expected at most \(HTTPRequest.maximumByteCount) bytes"
      case .unavailable: "the daemon is stopping, or too many connections ask for the metrics"
      case .versionNotSupported: "expected HTTP/1.1 or HTTP/1.0"
      case .ok, .badRequest: "expected a request of HTTP/1.1, such as GET /metrics"
      }
    return HTTPResponse(status, text + "\n")
  }

  /// Waits for a request's head; nil if the client ends the connection before.
  private func receiveHead() throws(HTTPStatus) -> ArraySlice<UInt8>? {
    var bytes: [UInt8] = []
    while true {
      if let count = HTTPRequest.byteCount(in: bytes) { return bytes[..<count] }
      if bytes.first == Scrape.firstByteOfFrame { return bytes[...] }
      let room = HTTPRequest.maximumByteCount - bytes.count
      guard room > 0 else { throw .headTooLarge }
      guard let next = receive(atMost: room) else {
        if end.hasPassed { throw .requestTimeout }
        return nil
      }
      bytes += next
    }
  }

  /// Reads what the client still sends: a client that finds the connection closed with bytes unread
  /// reports that instead of the answer.
  private func ignoreRest() {
    var left = Scrape.ignoredByteCount
    while left > 0, let bytes = receive(atMost: left) { left -= bytes.count }
  }

  /// Waits for bytes; nil at the end of the connection and at the deadline.
  ///
  /// Files that come with them are closed.
  private func receive(atMost count: Int) -> [UInt8]? {
    do throws(Errno) {
      guard try Poll.wait(for: .readable, of: socket.descriptor, until: end) != nil else {
        return nil
      }
      var bytes = [UInt8](repeating: 0, count: min(count, HTTPRequest.maximumByteCount))
      var files: [File] = []
      let received = try socket.receive(
        into: &bytes, range: 0..<bytes.count, descriptors: &files, waiting: false)
      return received > 0 ? Array(bytes[..<received]) : nil
    } catch {
      return nil
    }
  }

  /// Sends bytes as far as the client reads them in time.
  private static func send(_ bytes: [UInt8], to socket: Socket, until end: Deadline) {
    var sent = 0
    do throws(Errno) {
      while sent < bytes.count {
        do throws(Errno) {
          let rest = bytes[sent...]
          sent += try socket.send(rest.rawSpan, waiting: false)
        } catch .wouldBlock {
          guard try Poll.wait(for: .writable, of: socket.descriptor, until: end) != nil else {
            return
          }
        }
      }
    } catch {
      // A client that is gone needs no answer.
    }
  }
}
