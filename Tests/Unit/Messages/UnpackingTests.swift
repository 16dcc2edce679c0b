import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel

/// What unpacking refuses, and the most memory that it takes.
@Suite struct UnpackingTests {
  private let scratch = Scratch()

  private func unpack<Message>(
    _ message: RawMessage, _ unpack: (RawSpan, Scratch) throws(MessageError) -> Message
  ) throws(MessageError) -> Message {
    let bytes = message.bytes
    return try unpack(bytes.rawSpan, scratch)
  }

  @Test func `unknown fields of requests and responses are ignored`() throws {
    let fields = RawMessage().adding(1, 8).adding(77, 1).adding(78, "new")
    #expect(try unpack(fields, CloseRequest.init(unpacking:_:)).handle == 8)
    #expect(try unpack(fields, OpenReply.init(unpacking:_:)).handle == 8)
  }

  @Test(arguments: [
    [0x08], [0x0a, 0x05], [0xff], [0x0a, 0x02, 0x08], [0x1a, 0x04, 0x0a, 0x09, 0, 0],
  ])
  func `requests that do not parse are malformed`(_ bytes: [UInt8]) {
    #expect(throws: MessageError.self) { try OpenRequest(unpacking: bytes.rawSpan, scratch) }
    #expect(throws: MessageError.self) { try ResolveRequest(unpacking: bytes.rawSpan, scratch) }
  }

  @Test func `a request without a checkpoint is malformed`() {
    #expect(throws: MessageError.malformed("no checkpoint")) {
      try unpack(RawMessage(), OpenRequest.init(unpacking:_:))
    }
  }

  private static let file = RawMessage().adding(1, 1).bytes

  @Test(arguments: [
    RawMessage(),
    RawMessage().adding(4, "a label is not a checkpoint"),
    RawMessage().adding(1, 5).adding(2, file),
    RawMessage().adding(2, []),
    RawMessage().adding(2, RawMessage().adding(1, 9).bytes),
  ])
  func `a reference that sets not exactly one field is malformed`(_ reference: RawMessage) {
    let request = RawMessage().adding(1, reference.bytes)
    #expect(throws: MessageError.self) { try unpack(request, OpenRequest.init(unpacking:_:)) }
  }

  @Test(arguments: [("label", 2), ("command", 3)] as [(String, UInt64)])
  func `a greeting whose text has a NUL is malformed`(field: String, number: UInt64) {
    #expect(
      throws: MessageError.malformed("a text '\(field)' with a NUL at byte 3, expected none")
    ) {
      try unpack(RawMessage().adding(number, "job\0"), HelloRequest.init(unpacking:_:))
    }
    #expect(throws: Never.self) {
      try unpack(RawMessage().adding(number, "job"), HelloRequest.init(unpacking:_:))
    }
  }

  @Test(arguments: [
    (RawMessage().adding(5, "bert\0"), false),
    (RawMessage().adding(5, "\0"), false),
    (RawMessage().adding(2, file).adding(4, "/a\0b"), false),
    // A digest is no text.
    (RawMessage().adding(5, "bert").adding(6, [0]), true),
  ])
  func `a reference whose text has a NUL is malformed in every request`(
    _ reference: RawMessage, isSound: Bool
  ) {
    let request = RawMessage().adding(1, reference.bytes)
    func expect<Message>(
      _ message: RawMessage, _ unpacking: (RawSpan, Scratch) throws(MessageError) -> Message
    ) {
      do {
        _ = try unpack(message, unpacking)
        #expect(isSound)
      } catch {
        #expect("\(error)".contains("with a NUL at byte"))
        #expect(!isSound)
      }
    }
    expect(reference, CheckpointReference.init(unpacking:_:))
    expect(request, OpenRequest.init(unpacking:_:))
    expect(request, PreloadRequest.init(unpacking:_:))
    expect(request, ResolveRequest.init(unpacking:_:))
    expect(request, PinRequest.init(unpacking:_:))
  }

  @Test func `a published name with a NUL is malformed, beside a handle as well`() {
    for (name, isSound) in [("bert", true), ("bert\0", false), ("bert\0/", false)] {
      let request = RawMessage().adding(1, RawMessage().adding(1, 5).bytes)
        .adding(2, RawMessage().adding(1, name).bytes)
      let pin = try? unpack(request, PinRequest.init(unpacking:_:))
      #expect(pin?.publication?.name.text == (isSound ? name : nil))
    }
  }

  @Test func `more files than a checkpoint may have are malformed`() {
    var reference = RawMessage()
    for _ in 0...maximumCheckpointFiles { reference = reference.adding(2, Self.file) }
    let request = RawMessage().adding(1, reference.bytes)
    #expect(throws: MessageError.self) { try unpack(request, OpenRequest.init(unpacking:_:)) }
  }

  @Test func `a region of an unknown kind is malformed`() {
    for kind in [0, 3] as [UInt64] {
      let region = RawMessage().adding(1, 1).adding(2, kind)
      #expect(throws: MessageError.self) {
        try unpack(RawMessage().adding(2, region.bytes), unpackResolveReply)
      }
    }
  }

  /// Sixteen MiB of empty variables would unpack to more than a gigabyte.
  @Test(arguments: [2, 3] as [UInt8])
  func `a frame of empty messages is refused for the memory it would take`(_ field: UInt8) {
    var bytes = [field << 3 | 2, 0]
    while bytes.count < 16 << 20 { bytes += bytes }
    #expect(throws: MessageError.tooLarge(limit: (256 << 10) + (16 << 24))) {
      try ResolveRequest(unpacking: bytes.rawSpan, scratch)
    }
  }

  @Test(
    .enabled(
      if: Process.environment("LSAN_OPTIONS") == nil, "AddressSanitizer holds on to what is freed"))
  func `unpacking stays below its memory limit and frees its memory`() async {
    await #expect(processExitsWith: .success) {
      let scratch = Scratch()
      var bytes: [UInt8] = [0x1a, 0]
      while bytes.count < 16 << 20 { bytes += bytes }
      let before = try Process.residentByteCount()
      #expect(throws: MessageError.self) {
        try ResolveRequest(unpacking: bytes.rawSpan, scratch)
      }
      #expect(try Process.residentByteCount() - before < 270 << 20)
      let close: [UInt8] = [8, 1]
      _ = try CloseRequest(unpacking: close.rawSpan, scratch)
      #expect(try Process.residentByteCount() - before < 20 << 20)
    }
  }

  @Test func `an honest request of maximum length is accepted`() throws {
    let variables = (0..<100_000).map { number in
      Variable(
        Name("model/layer_\(number)/attention/self/query/kernel"), dtype: .float32,
        shape: [1024, 1024])
    }
    let request = ResolveRequest(
      checkpoint: .handle(1), map: ["/": .name("/")], variables: VariableList(variables),
      options: .init())
    var frame = FieldWriter()
    frame.begin(request, scratch)
    let bytes = frame.copy()
    #expect(bytes.count < 16 << 20)
    #expect(try ResolveRequest(unpacking: bytes.rawSpan, scratch).variables.all == variables)
  }
}
