package import SystemPackage

/// Why a session cannot go on: every case ends the connection.
package enum WireError: Error, Hashable {
  /// The peer closed in the middle of a frame.
  case endedInFrame
  /// The peer did not send the rest of a frame, or did not receive one, in time.
  case timedOut
  /// A frame whose flags are not 0; compression is not supported.
  case badFlags(UInt8)
  /// The peer sent HTTP of this version, 1 or 2, instead of a frame.
  case http(version: Int)
  /// A frame is longer than its receiver allows.
  case tooLong(byteCount: Int, limit: Int)
  /// The receiver has no memory or descriptors for a frame now.
  case overQuota(String)
  /// The message announces another number of descriptors than the frame brought.
  case descriptorsDiffer(announced: Int, received: Int)
  /// The message does not parse.
  case malformed(String)
  /// The kernel refused; EMFILE if it could not install descriptors.
  case system(Errno)
}

extension WireError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .endedInFrame: "the connection ended in the middle of a frame"
    case .timedOut: "the peer did not send, or receive, the rest of a frame in time"
    case .badFlags(let flags): "a frame has flags \(flags), expected 0 (not compressed)"
    case .http(let version): "the peer speaks HTTP/\(version), expected Warmstart's frames"
    case .tooLong(let count, let limit): "a frame of \(count) bytes, expected at most \(limit)"
    case .overQuota(let message): "a frame was refused: \(message)"
    case .descriptorsDiffer(let announced, let received):
      "a frame announces \(announced) descriptors, but \(received) came with it"
    case .malformed(let what): "a frame does not parse: \(what)"
    case .system(let errno): "the socket failed: \(errno)"
    }
  }
}

extension WireError {
  /// The error for bytes that begin no frame, since their flags are not 0.
  init(prefix: ArraySlice<UInt8>) {
    let preface = Array("PRI *".utf8)
    let letters = UInt8(ascii: "A")...UInt8(ascii: "Z")
    if prefix.elementsEqual(preface) {
      self = .http(version: 2)
    } else if prefix.prefix(3).allSatisfy(letters.contains) {
      // The shortest methods are GET and PUT.
      self = .http(version: 1)
    } else {
      self = .badFlags(prefix[prefix.startIndex])
    }
  }
}
