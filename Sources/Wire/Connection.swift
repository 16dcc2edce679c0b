package import Kernel
package import Messages
import SystemPackage

/// One end of a connection: frames in both directions, and the descriptors that ride on them.
///
/// A reader takes exactly the five bytes of the prefix, then exactly the message: descriptors come
/// with the first byte of their frame, so a read past a frame would take the next one's. Buffers are
/// kept from frame to frame. Belongs to one thread. See `unix(7)`.
package final class Connection {
  /// What a frame costs its receiver before it can be understood.
  package enum Burden: Sendable, Hashable {
    /// A message of that many bytes, more than `freeByteCount`.
    case bytes(Int)
    /// Descriptors that have come.
    case files(Int)
  }

  /// The most descriptors on one frame.
  package static let maximumDescriptors = 64
  /// The longest request: some 150,000 variables.
  package static let maximumRequestByteCount = 16 << 20
  /// The longest reply that a client takes; the daemon's are chunks of about 1 MiB.
  package static let maximumReplyByteCount = 4 << 20
  /// How long a frame may take after its first byte, in either direction.
  package static let frameMilliseconds = 5000
  /// Buffers begin with this and grow fourfold with the bytes that arrive, not with what is announced.
  private static let bufferByteCount = 16 << 10
  /// A buffer above this is given back after the frame, where connections are few.
  package static let keptByteCount = 1 << 20
  /// A message up to this is taken, or sent, without asking for memory.
  package static let freeByteCount = 4 << 10

  package let socket: Socket
  /// Memory for the message that is being packed or unpacked.
  package let scratch: Scratch
  /// The frame that is being made.
  package var outgoing: OutgoingFrame
  /// The descriptors that came with the last frame.
  package private(set) var files: [File] = []
  private var buffer: [UInt8]
  /// Lent to the connection, which works on the buffers themselves.
  private let memory: Memory
  private var messageByteCount = 0
  /// Asked before more is taken; throws to refuse it.
  private let admit: (Burden) throws(WireError) -> Void
  private let frameMilliseconds: Int
  private let keptByteCount: Int
  /// Called before waiting for a peer that does not read.
  private let willWait: () -> Void
  /// Whether a frame went out in part: what followed it would be taken for the rest.
  private var isBroken = false

  /// Makes an end of a connection; tests are less patient than `frameMilliseconds`.
  ///
  /// Buffers above `keptByteCount` are given back after a frame.
  package init(
    _ socket: Socket, _ memory: Memory = Memory(),
    frameMilliseconds: Int = Connection.frameMilliseconds,
    keptByteCount: Int = Connection.keptByteCount,
    admit: @escaping (Burden) throws(WireError) -> Void = { _ in },
    willWait: @escaping () -> Void = {}
  ) {
    self.socket = socket
    self.frameMilliseconds = frameMilliseconds
    self.keptByteCount = keptByteCount
    self.willWait = willWait
    self.admit = admit
    self.memory = memory
    scratch = memory.scratch
    outgoing = memory.outgoing
    buffer = memory.buffer
    (memory.outgoing, memory.buffer) = (OutgoingFrame(), [])
  }

  deinit {
    shrink()
    (memory.outgoing, memory.buffer) = (outgoing, buffer)
  }

  /// What a connection needs beside its socket: the next one on a thread need not ask for it again.
  package final class Memory {
    fileprivate let scratch = Scratch()
    fileprivate var outgoing = OutgoingFrame()
    fileprivate var buffer = [UInt8](repeating: 0, count: Connection.bufferByteCount)

    package init() {}
  }

  /// The message of the last frame.
  package var message: ArraySlice<UInt8> { buffer[0..<messageByteCount] }

  /// Lets the body see a run of the last frame's message.
  package func withMessage<Result, Failure>(
    _ range: Range<Int>, _ body: (RawSpan, Scratch) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = buffer
    return try body(bytes.rawSpan.extracting(range), scratch)
  }

  /// Waits for a frame, whose message and files it keeps; false if the peer closed before one.
  package func receive(limit: Int, until deadline: Deadline = .never) throws(WireError) -> Bool {
    files = []
    messageByteCount = 0
    if deadline != .never { try wait(for: .readable, until: deadline) }
    var frame = Deadline.never
    guard try receive(upTo: OutgoingFrame.prefixByteCount, &frame, mayEnd: true) else {
      return false
    }
    let flags = buffer[0]
    let length = buffer[1...4].reduce(0) { $0 << 8 | Int($1) }
    guard flags == 0 else { throw .badFlags(flags) }
    guard length <= limit else { throw .tooLong(byteCount: length, limit: limit) }
    if length > Connection.freeByteCount { try admit(.bytes(length)) }
    messageByteCount = length
    _ = try receive(upTo: length, &frame, mayEnd: false)
    return true
  }

  /// Checks what the last frame's message says of its descriptors.
  package func expectDescriptors(_ announced: Int) throws(WireError) {
    guard announced == files.count else {
      throw .descriptorsDiffer(announced: announced, received: files.count)
    }
  }

  /// Sends the outgoing frame and, with its first byte, the files' descriptors.
  package func send(_ files: [File] = []) throws(WireError) {
    let bytes = outgoing.bytes
    var sent = 0
    var deadline = Deadline.never
    guard !isBroken else { throw .timedOut }
    isBroken = true
    while sent < bytes.count {
      do {
        // Once some bytes went, so did the descriptors: the rest goes without.
        sent += try socket.send(
          bytes.rawSpan.extracting(droppingFirst: sent), descriptors: sent == 0 ? files : [],
          waiting: false)
      } catch .wouldBlock {
        if deadline == .never { deadline = .after(milliseconds: frameMilliseconds) }
        willWait()
        try wait(for: .writable, until: deadline)
      } catch {
        throw .system(error)
      }
    }
    isBroken = false
  }

  private func receive(
    upTo count: Int, _ deadline: inout Deadline, mayEnd: Bool
  ) throws(WireError) -> Bool {
    var received = 0
    while received < count {
      if received == buffer.count {
        let more = min(count - received, 3 * received)
        buffer.append(addingCapacity: more) { bytes in bytes.append(repeating: 0, count: more) }
      }
      // Between frames there is no limit of time: the thread sleeps in the first read.
      let isBetweenFrames = mayEnd && received == 0
      let range = received..<min(count, buffer.count)
      guard let read = try receiveSome(range, waiting: isBetweenFrames) else {
        if deadline == .never { deadline = .after(milliseconds: frameMilliseconds) }
        try wait(for: .readable, until: deadline)
        continue
      }
      if read == 0 {
        guard isBetweenFrames else { throw .endedInFrame }
        return false
      }
      received += read
    }
    return true
  }

  private func receiveSome(_ range: Range<Int>, waiting: Bool) throws(WireError) -> Int? {
    let count: Int
    let known = files.count
    do {
      count = try socket.receive(
        into: &buffer, range: range, descriptors: &files, waiting: waiting)
    } catch .wouldBlock {
      return nil
    } catch {
      throw .system(error)
    }
    // Each byte of a frame could bring more: none may pile up until the frame is whole.
    guard files.count <= Connection.maximumDescriptors else {
      throw .descriptorsDiffer(announced: Connection.maximumDescriptors, received: files.count)
    }
    if files.count > known { try admit(.files(files.count - known)) }
    return count
  }

  private func wait(for events: Poll.Events, until deadline: Deadline) throws(WireError) {
    var poll = Poll()
    poll.add(socket.descriptor, for: events)
    let isReady: Bool
    do {
      isReady = try poll.wait(until: deadline)
    } catch {
      throw .system(error)
    }
    guard isReady else { throw .timedOut }
  }

  /// Gives back what only large frames need: a connection between calls is to be small.
  package func shrink() {
    messageByteCount = 0
    files = []
    scratch.giveBack()
    outgoing.shrink(to: keptByteCount)
    if buffer.count > keptByteCount {
      buffer = [UInt8](repeating: 0, count: Connection.bufferByteCount)
    }
  }
}
