import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartWire

/// The frames that a connection reads while it waits for its peer to read.
@Suite(.serialized, .descriptorsBalanced) struct ReadAheadTests {
  private let peer: Peer
  private let connection: Connection

  init() throws {
    let (left, right) = try Socket.pair()
    setSendBuffer(right, byteCount: 4096)
    peer = Peer(left)
    connection = Connection(right, frameMilliseconds: 300)
    // The limit is that of the frame before.
    try peer.send(RawMessage([1]).frame())
    #expect(try connection.receive(limit: 1 << 20))
  }

  /// Begins a frame that fits no socket unless its peer reads.
  private static func beginLongFrame(on connection: Connection) {
    let text = String(repeating: "x", count: 300 << 10)
    connection.compose { $0.begin(HelloRequest(label: text, command: ""), $1) }
    connection.compose { frame, _ in frame.finish(Call(id: 1), path: Method.hello.path) }
  }

  /// Sends a long frame to a peer that does not read.
  private func sendInVain() {
    Self.beginLongFrame(on: connection)
    #expect(throws: WireError.timedOut) { try connection.send() }
  }

  /// Sends frames from another thread, because they may not fit the socket.
  private func sendMeanwhile(_ frames: [[UInt8]]) throws {
    let socket = peer.socket
    try Thread.detach {
      // After a failure the frame is missing.
      for frame in frames { try? Peer(socket).send(frame) }
    }
  }

  @Test func `frames that arrive during a send are received after it, in order`() throws {
    try sendMeanwhile((1...512).map { RawMessage(Array(repeating: 3, count: $0)).frame() })
    sendInVain()
    for count in 1...512 {
      #expect(try connection.receive(limit: 1 << 20))
      #expect(Array(connection.message) == Array(repeating: 3, count: count))
    }
    #expect(!connection.hasBacklog)
  }

  @Test func `two peers that both write before they read get each other's frames`() throws {
    let (left, right) = try Socket.pair()
    for socket in [left, right] { try Peer(socket).send(RawMessage([1]).frame()) }
    let exchange = { @Sendable (socket: Socket) throws -> Int in
      let connection = Connection(socket, frameMilliseconds: 20_000)
      #expect(try connection.receive(limit: 1 << 20))
      Self.beginLongFrame(on: connection)
      try connection.send()
      #expect(try connection.receive(limit: 1 << 20))
      return connection.message.count
    }
    let received = Monitor<Int?>(nil)
    try Thread.detach {
      // Nothing at all is received if it fails.
      let count = (try? exchange(right)) ?? 0
      received.notifying { $0 = count }
    }
    #expect(try exchange(left) > 300 << 10)
    #expect(try #require(received.wait { $0 }) > 300 << 10)
  }

  @Test func `descriptors stay with the frame that they came with`() throws {
    let files = try (0..<2).map { _ in try File(opening: "/dev/null") }
    try peer.send(RawMessage([1]).frame(), [files[0]])
    try peer.send(RawMessage([2]).frame())
    try peer.send(RawMessage([3]).frame(), files)
    sendInVain()
    #expect(connection.backlogBurden.fileCount == 3)
    for count in [1, 0, 2] {
      #expect(try connection.receive(limit: 1 << 20))
      #expect(connection.files.count == count)
    }
    #expect(connection.backlogBurden == (0, 0))
  }

  @Test func `descriptors taken from a backlog that never empties are closed`() throws {
    let before = descriptorCount()
    let file = try File(opening: "/dev/null")
    for number in 0..<100 {
      try peer.send(RawMessage([UInt8(number)]).frame(), [file])
    }
    sendInVain()
    #expect(descriptorCount() == before + 101)
    for number in 0..<70 {
      #expect(try connection.receive(limit: 1 << 20))
      #expect(Array(connection.message) == [UInt8(number)])
    }
    // The 30 that wait, the last one that was taken, and ours.
    #expect(descriptorCount() == before + 32)
    #expect(connection.backlogBurden == (30, 30))
    #expect(connection.hasBacklog)
  }

  @Test func `a frame that has arrived is received even after the deadline`() throws {
    try peer.send(RawMessage([1]).frame())
    #expect(try connection.receive(limit: 100, until: .after(milliseconds: 0)))
  }

  @Test func `a frame that had arrived in part is received whole`() throws {
    let frame = RawMessage(Array(repeating: 9, count: 5000)).frame()
    try peer.send(Array(frame.prefix(2000)))
    sendInVain()
    try peer.send(Array(frame.dropFirst(2000)))
    #expect(try connection.receive(limit: 1 << 20))
    #expect(Array(connection.message) == Array(repeating: 9, count: 5000))
  }

  @Test func `the end of the stream and malformed frames wait for their turn`() throws {
    try peer.send(RawMessage([4]).frame() + RawMessage([5]).frame(flags: 1))
    peer.finishWriting()
    sendInVain()
    #expect(try connection.receive(limit: 1 << 20))
    #expect(Array(connection.message) == [4])
    #expect(throws: WireError.badFlags(1)) { try connection.receive(limit: 1 << 20) }
  }

  @Test func `the end of the stream during a send is the end`() throws {
    peer.finishWriting()
    sendInVain()
    #expect(connection.hasBacklog)
    #expect(try !connection.receive(limit: 1 << 20))
  }

  @Test func `no more is read ahead than the backlog holds`() throws {
    let count = Connection.maximumBacklogCount + 10
    try sendMeanwhile((0..<count).map { RawMessage([UInt8(truncatingIfNeeded: $0)]).frame() })
    sendInVain()
    #expect(connection.backlogBurden.byteCount == Connection.maximumBacklogCount)
    for number in 0..<count {
      #expect(try connection.receive(limit: 1 << 20))
      #expect(Array(connection.message) == [UInt8(truncatingIfNeeded: number)])
    }
  }

  @Test func `a message longer than the backlog's room stays in the socket, and is received later`()
    throws
  {
    let long = RawMessage(Array(repeating: 8, count: Connection.maximumBacklogByteCount)).frame()
    try sendMeanwhile([RawMessage([7]).frame(), long])
    sendInVain()
    #expect(connection.backlogBurden.byteCount == 1)
    #expect(try connection.receive(limit: 2 << 20))
    #expect(Array(connection.message) == [7])
    #expect(try connection.receive(limit: 2 << 20))
    #expect(connection.message.count == Connection.maximumBacklogByteCount)
  }
}
