/// The head of a request that a monitoring system sends, as far as an answer depends on it.
///
/// See RFC 9112.
package struct HTTPRequest {
  /// The most bytes of a head, with the empty line at its end; chosen, not tuned.
  package static let maximumByteCount = 8192

  /// The method, such as GET.
  package let method: String
  /// The path, without a query.
  package let path: String
  /// The media types that the client takes, in its words; nil if it takes all.
  package let accepted: String?

  /// The number of bytes of a complete head at the start of the bytes; nil if its end is missing.
  package static func byteCount(in bytes: [UInt8]) -> Int? {
    let end = Array("\r\n\r\n".utf8)
    guard bytes.count >= end.count else { return nil }
    for start in 0...(bytes.count - end.count)
    where bytes[start] == end[0] && bytes[start..<(start + end.count)].elementsEqual(end) {
      return start + end.count
    }
    return nil
  }

  /// Reads a complete head.
  ///
  /// - Throws: The status of the answer to a head that is none.
  package init(_ head: some Sequence<UInt8>) throws(HTTPStatus) {
    let lines = try HTTPRequest.lines(head)
    let words = lines[0].split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, !words[0].isEmpty, words[2].hasPrefix("HTTP/") else {
      throw .badRequest
    }
    guard words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0" else { throw .versionNotSupported }
    method = String(words[0])
    path = try HTTPRequest.path(words[1])
    var hosts = 0
    var accepted: String?
    for line in lines.dropFirst() where !line.isEmpty {
      guard let colon = line.firstIndex(of: ":"), colon > line.startIndex,
        !line[..<colon].contains(where: { $0 == " " || $0 == "\t" })
      else { throw .badRequest }
      let value = String(line[line.index(after: colon)...])
      switch line[..<colon].lowercased() {
      case "host": hosts += 1
      case "accept": accepted = accepted.map { $0 + "," + value } ?? value
      default: break
      }
    }
    self.accepted = accepted
    guard hosts == 1 || words[2] == "HTTP/1.0" && hosts == 0 else { throw .badRequest }
  }

  /// The lines of a head, each of which ends in CR LF.
  ///
  /// Only ASCII is allowed: the fields that matter have nothing else.
  private static func lines(_ head: some Sequence<UInt8>) throws(HTTPStatus) -> [Substring] {
    let (tab, lineFeed, carriageReturn): (UInt8, UInt8, UInt8) = (0x09, 0x0a, 0x0d)
    var text = ""
    var previous: UInt8 = 0
    for byte in head {
      let isAllowed =
        (0x20..<0x7f).contains(byte) || [tab, lineFeed, carriageReturn].contains(byte)
      guard isAllowed, (byte == lineFeed) == (previous == carriageReturn) else {
        throw .badRequest
      }
      text.unicodeScalars.append(Unicode.Scalar(byte))
      previous = byte
    }
    return text.split(separator: "\r\n", omittingEmptySubsequences: false)
  }

  /// The path of a target, which begins with it or, for a proxy, with `http://` and a host.
  private static func path(_ target: Substring) throws(HTTPStatus) -> String {
    var rest = target
    if rest.lowercased().hasPrefix("http://") {
      let authority = rest.dropFirst("http://".count)
      rest = authority.firstIndex(of: "/").map { authority[$0...] } ?? "/"
    }
    // `*` is a target, too, of OPTIONS.
    guard rest.hasPrefix("/") || rest == "*" else { throw .badRequest }
    return String(rest.prefix { $0 != "?" })
  }

  /// Whether the client takes a media type.
  package func accepts(_ type: String) -> Bool {
    guard let accepted else { return true }
    let kind = type.prefix { $0 != "/" }
    return accepted.lowercased().split(separator: ",").contains { range in
      let parts = range.split(separator: ";").map { part in
        String(part.filter { $0 != " " && $0 != "\t" })
      }
      guard let name = parts.first, !parts.contains(where: { $0 == "q=0" || $0 == "q=0.0" })
      else { return false }
      return name == type || name == "*/*" || name == "\(kind)/*"
    }
  }
}

/// The outcome of a request over HTTP, by its number.
///
/// See RFC 9110 and, for 431, RFC 6585.
package enum HTTPStatus: Int, Error {
  case ok = 200
  case badRequest = 400
  case notFound = 404
  case methodNotAllowed = 405
  case notAcceptable = 406
  case requestTimeout = 408
  case headTooLarge = 431
  case unavailable = 503
  case versionNotSupported = 505

  fileprivate var phrase: String {
    switch self {
    case .ok: "OK"
    case .badRequest: "Bad Request"
    case .notFound: "Not Found"
    case .methodNotAllowed: "Method Not Allowed"
    case .notAcceptable: "Not Acceptable"
    case .requestTimeout: "Request Timeout"
    case .headTooLarge: "Request Header Fields Too Large"
    case .unavailable: "Service Unavailable"
    case .versionNotSupported: "HTTP Version Not Supported"
    }
  }
}

/// A whole response, after which the connection is closed.
package struct HTTPResponse {
  private let status: HTTPStatus
  private let type: String
  private let body: String

  /// Makes a response.
  package init(_ status: HTTPStatus, type: String = "text/plain; charset=utf-8", _ body: String) {
    self.status = status
    self.type = type
    self.body = body
  }

  /// The bytes of the response.
  ///
  /// - Parameter withBody: Whether the body follows the head: not in the answer to HEAD.
  package func bytes(withBody: Bool = true) -> [UInt8] {
    var head = [
      "HTTP/1.1 \(status.rawValue) \(status.phrase)", "Content-Type: \(type)",
      "Content-Length: \(body.utf8.count)", "Connection: close",
    ]
    if status == .methodNotAllowed { head.append("Allow: GET, HEAD") }
    let text = head.joined(separator: "\r\n") + "\r\n\r\n"
    return Array(text.utf8) + (withBody ? Array(body.utf8) : [])
  }
}
