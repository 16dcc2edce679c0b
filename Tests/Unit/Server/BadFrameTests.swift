import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartSystemd
import WarmstartTensorModel

/// A malformed frame ends the session with the reason; a call that fails does not.
///
/// `Tests/Data/Corpus` has each bad frame alone.
@Suite(.serialized, .descriptorsBalanced) struct BadFrameTests {
  private let daemon: ServedDaemon
  private let peer: Peer

  init() throws {
    daemon = try ServedDaemon()
    peer = try daemon.connect()
  }

  private static let hello = RawMessage().adding(1, 1).adding(2, Method.hello.rawValue)

  @Test func `calls before a bad frame are answered first`() throws {
    try peer.send(Self.hello.frame() + Self.hello.frame() + Self.hello.frame(flags: 2))
    #expect(try peer.answer().id == 1)
    #expect(try peer.answer().id == 1)
    #expect(try peer.answer().id == 0)
    #expect(try peer.next() == nil)
  }

  @Test func `the end of the stream within a frame ends the session with a status`() throws {
    try peer.send(Array(Self.hello.frame().dropLast(3)))
    peer.finishWriting()
    #expect(try peer.answer().reason == "INVALID_REQUEST")
    #expect(try peer.next() == nil)
    #expect(daemon.settles())
    #expect(daemon.warnings.count == 1)
  }

  @Test func `of many broken sessions only the first are logged`() throws {
    for _ in 0..<30 {
      let peer = try daemon.connect()
      try peer.send(Self.hello.frame(flags: 2))
      #expect(try peer.answer().id == 0)
      #expect(try peer.next() == nil)
    }
    #expect(daemon.settles(atMost: 1))
    #expect(daemon.events.map(\.kind) == Array(repeating: .sessionEnded, count: 10))
    // Another kind of event is logged all the same.
    let peer = try daemon.connect()
    try peer.send(Array("GET / HTTP/1.1\r\n".utf8))
    peer.finishWriting()
    #expect(daemon.settles(atMost: 1))
    #expect(daemon.events.last?.kind == .wrongProtocol)
  }

  @Test func `the end of the stream between frames is not logged`() throws {
    try peer.send(Self.hello.frame())
    #expect(try peer.answer().status == nil)
    peer.finishWriting()
    #expect(try peer.next() == nil)
    #expect(daemon.settles())
    #expect(daemon.warnings == [])
  }

  @Test func `a client that hangs up at any byte leaks nothing`() throws {
    let whole = Self.hello.adding(4, 1).frame()
    for count in 0...whole.count {
      let peer = try daemon.connect()
      if count > 0 { try peer.send(Array(whole[..<count]), [try File(opening: "/dev/null")]) }
    }
    #expect(daemon.settles(atMost: 1))
  }

  // MARK: Calls that fail

  /// The status of a raw call, after which the session must go on.
  private func status(_ message: RawMessage) throws -> CallStatus? {
    try peer.send(message.frame())
    let answer = try peer.answer()
    #expect(answer.id == 7)
    try peer.send(Self.hello.frame())
    #expect(try peer.answer().status == nil)
    return answer.status
  }

  @Test(arguments: [
    "", "Hello", "/warmstart.v1.Warmstart/", "/warmstart.v1.Warmstart/hello",
    "/warmstart.v2.Warmstart/Hello", "/warmstart.v1.Warmstart/Hello\0",
  ])
  func `an unknown method is unsupported`(_ method: String) throws {
    let status = try status(RawMessage().adding(1, 7).adding(2, method))
    #expect(status?.reason == .unsupported)
    #expect(status?.code == .unimplemented)
  }

  @Test func `a method name of a megabyte gets a short answer`() throws {
    let method = String(repeating: "m", count: 5 << 20)
    let status = try status(RawMessage().adding(1, 7).adding(2, method))
    #expect(status?.reason == .unsupported)
    #expect((status?.message.utf8.count ?? .max) < 4096)
  }

  @Test func `an unknown feature that is required is unsupported`() throws {
    let message = RawMessage().adding(1, 7).adding(2, Method.hello.rawValue)
    #expect(try status(message.adding(6, "sealed").adding(6, "teleport"))?.reason == .unsupported)
    #expect(try status(message.adding(6, ""))?.reason == .unsupported)
    #expect(try status(message.adding(6, "sealed").adding(6, "strides")) == nil)
  }

  @Test(arguments: [Method.hello, .open, .close, .list, .resolve])
  func `a request that does not parse is invalid`(_ method: Method) throws {
    let message = RawMessage().adding(1, 7).adding(2, method.rawValue).adding(
      3, [0x0a, 0x7f, 0x01])
    let status = try status(message)
    #expect(status?.reason == .invalidRequest)
  }

  @Test(arguments: [Method.open, .list, .resolve])
  func `a request that names no checkpoint is invalid`(_ method: Method) throws {
    let message = RawMessage().adding(1, 7).adding(2, method.rawValue)
    #expect(try status(message)?.reason == .invalidRequest)
  }

  @Test func `a request that would unpack to a gigabyte is invalid`() throws {
    var variables: [UInt8] = [0x1a, 0]
    while variables.count < 8 << 20 { variables += variables }
    let message = RawMessage().adding(1, 7).adding(2, Method.resolve.rawValue).adding(3, variables)
    #expect(try status(message)?.reason == .invalidRequest)
  }

  @Test func `unknown fields everywhere are ignored`() throws {
    let request = RawMessage().adding(2, "label").adding(50, 1).adding(51, "new")
    let message = RawMessage().adding(1, 7).adding(2, Method.hello.rawValue)
      .adding(3, request.bytes).adding(60, 1).adding(61, "newer")
    try peer.send(message.frame())
    #expect(try peer.answer().status == nil)
    #expect(try peer.status().clients.first?.label == "label")
  }
}
