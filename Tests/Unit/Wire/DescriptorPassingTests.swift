import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartWire

/// Descriptors ride on the frame that counts them, on no other, and once.
@Suite(.serialized, .descriptorsBalanced) struct DescriptorPassingTests {
  private let sender: Peer
  private let receiver: Connection

  init() throws {
    let (left, right) = try Socket.pair()
    sender = Peer(left)
    receiver = Connection(right, frameMilliseconds: 200)
  }

  private func files(_ count: Int) throws -> [File] {
    try (0..<count).map { _ in try File(opening: "/dev/null") }
  }

  private func receive() throws -> Int {
    #expect(try receiver.receive(limit: 1000))
    return receiver.files.count
  }

  @Test func `descriptors come with the second frame if they were sent with it`() throws {
    try sender.send(RawMessage([1]).frame())
    try sender.send(RawMessage([2]).frame(), files(2))
    #expect(try receive() == 0)
    #expect(try receive() == 2)
  }

  @Test func `descriptors of the first frame do not stay for the second`() throws {
    try sender.send(RawMessage([1]).frame(), files(3))
    try sender.send(RawMessage([2]).frame())
    #expect(try receive() == 3)
    #expect(try receive() == 0)
  }

  @Test func `each of many frames has its own descriptors`() throws {
    for count in 0..<20 { try sender.send(RawMessage([1]).frame(), files(count)) }
    for count in 0..<20 { #expect(try receive() == count) }
  }

  @Test func `descriptors come in their order and are what was sent`() throws {
    let sent = [try File(opening: "/dev/null"), try File(opening: "/"), try OddFile.pipe.make()]
    try sender.send(RawMessage([1]).frame(), sent)
    #expect(try receive() == 3)
    #expect(try receiver.files.map { try $0.status().inode } == sent.map { try $0.status().inode })
  }

  @Test func `received descriptors close when another program starts`() throws {
    try sender.send(RawMessage([1]).frame(), files(4))
    #expect(try receive() == 4)
    #expect(receiver.files.allSatisfy(closesOnExec))
  }

  @Test func `a frame sent in many parts carries its descriptors once`() throws {
    setSendBuffer(sender.socket, byteCount: 1)
    // Slow, but within the usual patience.
    let receiver = Connection(receiver.socket)
    let text = String(repeating: "x", count: 1 << 18)
    let files = try files(3)
    let socket = sender.socket
    let failure = Monitor<WireError?>(nil)
    try Thread.detach {
      let connection = Connection(socket)
      connection.compose { $0.begin(HelloRequest(label: text, command: ""), $1) }
      connection.compose { frame, _ in frame.finish(Call(id: 1), path: Method.hello.path) }
      do throws(WireError) {
        try connection.send(files)
      } catch {
        failure.withLock { $0 = error }
      }
    }
    #expect(try receiver.receive(limit: 2 << 20))
    #expect(receiver.message.count > 1 << 18)
    #expect(receiver.files.count == 3)
    #expect(failure.withLock { $0 } == nil)
  }

  @Test(arguments: [(0, 1), (1, 0), (2, 1), (1, 2), (64, 63), (.max, 0)])
  func `a count that differs is an error`(_ announced: Int, _ sent: Int) throws {
    try sender.send(RawMessage([1]).frame(), files(sent))
    #expect(try receive() == sent)
    #expect(throws: WireError.descriptorsDiffer(announced: announced, received: sent)) {
      try receiver.expectDescriptors(announced)
    }
  }

  @Test func `64 descriptors are accepted and 65 are not`() throws {
    try sender.send(RawMessage([1]).frame(), files(64))
    #expect(try receive() == 64)
    try sender.send(RawMessage([1]).frame(), files(65))
    #expect(throws: WireError.descriptorsDiffer(announced: 64, received: 65)) {
      try receiver.receive(limit: 1000)
    }
  }

  @Test func `descriptors do not pile up while a frame is not whole`() throws {
    try sender.send(RawMessage([1]).frame(byteCount: 1000), files(40))
    try sender.send([2], files(40))
    try sender.send([3], files(40))
    // Not timedOut: with too many descriptors it does not wait.
    #expect(throws: WireError.descriptorsDiffer(announced: 64, received: 80)) {
      try receiver.receive(limit: 1000)
    }
  }

  @Test func `descriptors of a broken frame are closed`() throws {
    let before = descriptorCount()
    try sender.send(RawMessage([1]).frame(flags: 1), files(5))
    #expect(throws: WireError.badFlags(1)) { try receiver.receive(limit: 1000) }
    try sender.send(RawMessage([1]).frame())
    _ = try? receiver.receive(limit: 1000)
    #expect(descriptorCount() == before)
  }

  @Test func `descriptors that the kernel drops are an error and none is kept`() async {
    await #expect(processExitsWith: .success) {
      let (left, right) = try Socket.pair()
      let receiver = Connection(right)
      let files = try (0..<8).map { _ in try File(opening: "/dev/null") }
      try Peer(left).send(RawMessage([1]).frame(), files)
      // The limit is on the numbers, so all numbers below it must be in use, but for a few.
      var highest = 0
      let fillers = try (0..<200).map { _ in
        let file = try File(opening: "/dev/null")
        highest = max(highest, Int(file.descriptor.borrowedNumber()))
        return file
      }
      let before = descriptorCount()
      limitDescriptors(to: UInt(highest + 4))
      #expect(throws: WireError.system(.tooManyOpenFiles)) { try receiver.receive(limit: 1000) }
      limitDescriptors(to: UInt(highest + 20))
      withExtendedLifetime(fillers) {}
      #expect(descriptorCount() == before)
    }
  }
}
