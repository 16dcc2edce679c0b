import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartWire

/// Frames between two ends of a socket pair: their bytes, and how a conversation ends.
@Suite(.serialized, .descriptorsBalanced) struct FrameTests {
  private let sender: Socket
  private let receiver: Connection

  init() throws {
    let (left, right) = try Socket.pair()
    sender = left
    receiver = Connection(right, frameMilliseconds: 200)
  }

  private func send(_ bytes: [UInt8], _ files: [File] = []) throws {
    try Peer(sender).send(bytes, files)
  }

  @Test(arguments: [0, 1, 5, 16 << 10, (16 << 10) + 1, 100_000])
  func `a message arrives as it was sent`(_ byteCount: Int) throws {
    let message = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    try Peer(sender).send(RawMessage(message).frame())
    #expect(try receiver.receive(limit: 1 << 20))
    #expect(Array(receiver.message) == message)
  }

  @Test func `frames sent back to back are received one by one`() throws {
    for count in 1...50 { try send(RawMessage(Array(repeating: 7, count: count)).frame()) }
    for count in 1...50 {
      #expect(try receiver.receive(limit: 100))
      #expect(receiver.message.count == count)
    }
  }

  @Test func `a finished frame has flags, length and envelope`() throws {
    let connection = Connection(sender)
    connection.compose { $0.begin(CloseRequest(handle: 3), $1) }
    connection.compose { frame, _ in frame.finish(Call(id: 9), path: Method.close.path) }
    try connection.send()
    #expect(try receiver.receive(limit: 100))
    let expected = RawMessage().adding(1, 9).adding(2, "/warmstart.v1.Warmstart/Close")
      .adding(3, RawMessage().adding(1, 3).bytes)
    #expect(Array(receiver.message) == expected.bytes)
  }

  @Test func `an optional frame is dropped if there is no room`() throws {
    let connection = Connection(sender)
    func begin(_ id: UInt64) {
      connection.compose { $0.begin(CloseRequest(handle: 3), $1) }
      connection.compose { frame, _ in frame.finish(Call(id: id), path: Method.close.path) }
    }
    var sent: UInt64 = 0
    while true {
      begin(sent + 1)
      guard try connection.sendAtOnce() else { break }
      sent += 1
    }
    #expect(sent > 0)
    for id in 1...sent {
      #expect(try receiver.receive(limit: 100))
      #expect(try Call(parsing: receiver.message).id == id)
    }
    begin(1000)
    try connection.send()
    #expect(try receiver.receive(limit: 100))
    #expect(try Call(parsing: receiver.message).id == 1000)
  }

  @Test func `the end of the stream between two frames is the end`() throws {
    try send(RawMessage([1, 2, 3]).frame())
    halfClose(sender)
    #expect(try receiver.receive(limit: 100))
    #expect(try !receiver.receive(limit: 100))
  }

  @Test(arguments: [1, 4, 5, 7])
  func `the end of the stream within a frame is an error`(_ byteCount: Int) throws {
    try send(Array(RawMessage([1, 2, 3]).frame().prefix(byteCount)))
    halfClose(sender)
    #expect(throws: WireError.endedInFrame) { try receiver.receive(limit: 100) }
  }

  @Test(arguments: [1, 2, 128, 255] as [UInt8])
  func `flags other than 0 are refused`(_ flags: UInt8) throws {
    try send(RawMessage([1]).frame(flags: flags))
    #expect(throws: WireError.badFlags(flags)) { try receiver.receive(limit: 100) }
  }

  @Test func `the longest request is accepted and one byte more is refused`() throws {
    let limit = Connection.maximumRequestByteCount
    #expect(limit == 16 << 20)
    try send(RawMessage().frame(byteCount: limit + 1))
    #expect(throws: WireError.tooLong(byteCount: limit + 1, limit: limit)) {
      try receiver.receive(limit: limit)
    }
    // The same end again, as if the prefix had been another: the longest is only not yet there.
    try send(RawMessage().frame(byteCount: limit))
    #expect(throws: WireError.timedOut) { try receiver.receive(limit: limit) }
  }

  @Test func `a length of all ones is refused`() throws {
    try send([0, 255, 255, 255, 255])
    #expect(throws: WireError.tooLong(byteCount: 0xffff_ffff, limit: 100)) {
      try receiver.receive(limit: 100)
    }
  }

  @Test(arguments: [1, 4, 5, 8])
  func `a frame that stops times out`(_ byteCount: Int) throws {
    try send(Array(RawMessage([1, 2, 3, 4]).frame().prefix(byteCount)))
    let start = MonotonicClock.nanoseconds()
    #expect(throws: WireError.timedOut) { try receiver.receive(limit: 100) }
    #expect(MonotonicClock.nanoseconds() - start >= 190_000_000)
  }

  @Test func `a frame that trickles has one deadline for all its bytes`() throws {
    let sender = sender
    try Thread.detach {
      for byte in RawMessage(Array(repeating: 1, count: 40)).frame() {
        // The receiver gives up meanwhile, which is what is tested.
        guard (try? Peer(sender).send([byte])) != nil else { return }
        pause(milliseconds: 20)
      }
    }
    #expect(throws: WireError.timedOut) { try receiver.receive(limit: 100) }
    receiver.socket.shutDown(writingToo: true)
  }

  @Test func `between frames there is no time limit`() throws {
    let sender = sender
    try Thread.detach {
      pause(milliseconds: 400)
      // After a failure the frame is missing.
      try? Peer(sender).send(RawMessage([5]).frame())
    }
    #expect(try receiver.receive(limit: 100))
  }

  @Test func `a caller's deadline ends the wait for a frame's first byte`() throws {
    #expect(throws: WireError.timedOut) {
      try receiver.receive(limit: 100, until: .after(milliseconds: 50))
    }
  }

  @Test func `sending to a peer that does not read times out and stops`() throws {
    let connection = Connection(sender, frameMilliseconds: 200)
    let text = String(repeating: "x", count: 2 << 20)
    connection.compose { $0.begin(HelloRequest(label: text, command: ""), $1) }
    connection.compose { frame, _ in frame.finish(Call(id: 1), path: Method.hello.path) }
    #expect(throws: WireError.timedOut) { try connection.send() }
    // There is room again, but further bytes would be taken for the rest of the frame.
    var files: [File] = []
    _ = try Peer(receiver.socket).receive(100_000, &files, .after(milliseconds: 5000))
    connection.compose { $0.begin(CloseRequest(handle: 1), $1) }
    connection.compose { frame, _ in frame.finish(Call(id: 2), path: Method.close.path) }
    #expect(throws: WireError.timedOut) { try connection.send() }
  }

  @Test func `sending to a closed peer is an error, not a signal`() throws {
    let (left, right) = try Socket.pair()
    right.shutDown(writingToo: true)
    let connection = Connection(left)
    connection.compose { $0.begin(CloseRequest(handle: 1), $1) }
    connection.compose { frame, _ in frame.finish(Call(id: 1), path: Method.close.path) }
    #expect(throws: WireError.system(.brokenPipe)) { try connection.send() }
  }

  @Test func `an announced length takes no memory until its bytes arrive`() async {
    await #expect(processExitsWith: .success) {
      let (left, right) = try Socket.pair()
      let receiver = Connection(right, frameMilliseconds: 100)
      let before = try Process.residentByteCount()
      try Peer(left).send(RawMessage([1, 2, 3]).frame(byteCount: 16 << 20))
      #expect(throws: WireError.timedOut) { try receiver.receive(limit: 16 << 20) }
      #expect(try Process.residentByteCount() - before < 4 << 20)
    }
  }
}
