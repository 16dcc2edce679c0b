import Testing
import WarmstartHarness
import WarmstartMessages
import WarmstartProtobuf
import WarmstartWire

/// The envelopes `Call` and `Reply`, which are read in place and by hand.
@Suite struct EnvelopeTests {
  private func call(_ message: RawMessage) throws(MessageError) -> Call {
    try Call(parsing: message.bytes[...])
  }

  @Test func `a call has what its fields say`() throws {
    let message = RawMessage().adding(1, 7).adding(2, "/a/B").adding(3, [1, 2, 3]).adding(4, 2)
      .adding(5, 300).adding(6, "sealed").adding(6, "strides")
    let call = try call(message)
    #expect(call.id == 7)
    #expect(String(decoding: message.bytes[call.path], as: UTF8.self) == "/a/B")
    #expect(Array(message.bytes[call.request]) == [1, 2, 3])
    #expect(call.descriptorCount == 2)
    #expect(call.timeoutMilliseconds == 300)
    #expect(call.requiredFeatures == ["sealed", "strides"])
  }

  @Test func `a call without an id is malformed`() {
    #expect(throws: MessageError.self) { try call(RawMessage().adding(2, "/a/B")) }
    #expect(throws: MessageError.self) { try call(RawMessage()) }
    #expect(throws: MessageError.self) { try call(RawMessage().adding(1, 0)) }
  }

  @Test func `fields in any order are read`() throws {
    let message = RawMessage().adding(4, 1).adding(3, [9]).adding(2, "m").adding(1, 5)
    let call = try call(message)
    #expect(call.id == 5 && call.descriptorCount == 1)
    #expect(Array(message.bytes[call.path]) == Array("m".utf8))
  }

  @Test func `unknown fields of every type are ignored`() throws {
    let fixed64 = RawMessage.varint(101 << 3 | 1) + Array(repeating: 0xff, count: 8)
    let fixed32 = RawMessage.varint(102 << 3 | 5) + Array(repeating: 0xff, count: 4)
    let message = RawMessage(fixed64 + fixed32).adding(99, 1).adding(100, "new").adding(1, 5)
      .adding(1 << 28, 3)
    #expect(try call(message).id == 5)
  }

  @Test func `a known field of another type is ignored`() throws {
    #expect(try call(RawMessage().adding(1, 5).adding(1, "five").adding(2, 3)).id == 5)
  }

  @Test func `the last of a repeated field counts`() throws {
    let message = RawMessage().adding(1, 5).adding(1, 6).adding(3, [1]).adding(3, [2, 2])
    let call = try call(message)
    #expect(call.id == 6)
    #expect(Array(message.bytes[call.request]) == [2, 2])
  }

  @Test(arguments: [
    [0x08], [0x08, 0x80], [0x80], [0x08, 0xff, 0xff, 0xff],
    [0x08] + Array(repeating: 0x80, count: 10) + [0x01],
    [0x12], [0x12, 0x05, 0x61], [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    [0x09, 0, 0, 0, 0, 0, 0, 0], [0x0d, 0, 0, 0], [0x0b], [0x0c], [0x0e], [0x0f], [0x00],
    [0x02, 0],
  ])
  func `an envelope that does not parse is malformed`(_ bytes: [UInt8]) {
    #expect(throws: MessageError.self) {
      try call(RawMessage(RawMessage().adding(1, 1).bytes + bytes))
    }
    #expect(throws: MessageError.self) { try Reply(parsing: bytes[...]) }
  }

  @Test func `every cut of a call is malformed or lacks the rest`() throws {
    let whole = RawMessage().adding(1, 300).adding(2, "/a/B").adding(3, [1, 2, 3]).bytes
    for count in 0..<whole.count {
      guard let call = try? Call(parsing: whole[..<count]) else { continue }
      #expect(call.id == 300)
      #expect(call.request.isEmpty)
    }
  }

  @Test func `numbers beyond their fields' range are cut, not wrapped`() throws {
    let call = try call(RawMessage().adding(1, .max).adding(4, .max).adding(5, .max))
    #expect(call.id == .max)
    #expect(call.descriptorCount == .max)
    #expect(call.timeoutMilliseconds == .max)
  }

  @Test func `more features than the limit are malformed`() {
    var message = RawMessage().adding(1, 1)
    for _ in 0..<33 { message = message.adding(6, "x") }
    #expect(throws: MessageError.self) { try call(message) }
  }

  @Test func `a reply has what its fields say`() throws {
    let message = RawMessage().adding(1, 7).adding(2, 3).adding(4, [1, 2]).adding(5, 1)
    let reply = try Reply(parsing: message.bytes[...])
    #expect(reply.id == 7 && reply.descriptorCount == 3 && reply.more && reply.status == nil)
    #expect(Array(message.bytes[reply.response]) == [1, 2])
    #expect(try Reply(parsing: []).id == 0)
  }

  @Test func `an envelope longer than the room in front of the body moves it`() throws {
    let scratch = Scratch()
    var frame = FieldWriter()
    frame.begin(CloseRequest(handle: 77), scratch)
    var call = Call(id: 1)
    call.requiredFeatures = (0..<30).map { "a feature with a long name \($0)" }
    frame.finish(call, path: Method.close.path)
    let message = frame.copy().dropFirst(Connection.prefixByteCount)
    let read = try Call(parsing: message)
    #expect(read.requiredFeatures == call.requiredFeatures)
    #expect(Array(frame.copy()[read.request]) == RawMessage().adding(1, 77).bytes)
  }
}
