import SystemPackage
package import WarmstartKernel
package import WarmstartProtobuf

/// One end of a connection: frames in both directions, and the descriptors that ride on them.
///
/// A reader takes exactly the five bytes of the prefix, then exactly the message: descriptors come
/// with the first byte of their frame, so a read past a frame would take the next one's.
///
/// A writer that waits for its peer reads meanwhile: the peer may be writing, too, and wait for us.
/// The frames that it reads ahead wait in a backlog, which is bounded in frames and bytes.
///
/// Buffers are kept from frame to frame. Belongs to one thread. See `unix(7)`.
package final class Connection {
  /// What a frame costs its receiver before it can be understood.
  package enum Burden: Sendable, Hashable {
    /// A message of that many bytes, more than `freeByteCount`.
    case bytes(Int)
    /// Descriptors that have come.
    case files(Int)
  }

  /// The bytes in front of a frame's message: flags and length.
  package static let prefixByteCount = 5
  /// The most descriptors on one frame.
  package static let maximumDescriptors = 64
  /// The longest request: some 150,000 variables.
  package static let maximumRequestByteCount = 16 << 20
  /// The longest reply that a client takes; the daemon's are chunks of about 1 MiB.
  package static let maximumReplyByteCount = 4 << 20
  /// How long a frame may take after its first byte, in either direction.
  package static let frameMilliseconds = 5000
  /// The most frames that are read ahead while a frame is being sent; chosen, not tuned.
  package static let maximumBacklogCount = 1024
  /// The most bytes of messages that are read ahead; chosen, not tuned.
  package static let maximumBacklogByteCount = 1 << 20
  /// A buffer above this is given back after the frame, where connections are few.
  package static let keptByteCount = 1 << 20
  /// A message up to this is taken, or sent, without asking for memory.
  package static let freeByteCount = 4 << 10

  package let socket: Socket
  /// Memory for the message that is being packed or unpacked.
  package let scratch: Scratch
  /// The frame that is being made.
  package var outgoing: FieldWriter
  /// The last frame, or what has come of the next.
  private var current: IncomingFrame
  /// The frames that were read ahead.
  private var backlog = Backlog()
  /// The longest message that the last call of `receive` took.
  private var limit = 0
  /// How long the last frame waited in the backlog.
  package private(set) var waitedMilliseconds = 0
  /// Lent to the connection, which works on the buffers themselves.
  private let memory: Memory
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
    current = IncomingFrame(memory.buffer)
    (memory.outgoing, memory.buffer) = (FieldWriter(), [])
  }

  deinit {
    shrink()
    (memory.outgoing, memory.buffer) = (outgoing, current.buffer)
  }

  /// What a connection needs beside its socket: the next one on a thread need not ask for it again.
  package final class Memory {
    fileprivate let scratch = Scratch()
    fileprivate var outgoing = FieldWriter()
    fileprivate var buffer = IncomingFrame.smallBuffer

    package init() {}
  }

  /// The message of the last frame.
  package var message: ArraySlice<UInt8> { current.message }

  /// The descriptors that came with the last frame.
  package var files: [File] { current.files }

  /// What the frames that were read ahead cost.
  package var backlogBurden: (byteCount: Int, fileCount: Int) { backlog.burden }

  /// Lets the body see a run of the last frame's message.
  package func withMessage<Result, Failure>(
    _ range: Range<Int>, _ body: (RawSpan, Scratch) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = current.buffer
    return try body(bytes.rawSpan.extracting(range), scratch)
  }

  /// Whether a frame, or the end, was read ahead: `receive` does not wait for it.
  package var hasBacklog: Bool { !backlog.isEmpty }

  /// Waits for a frame, whose message and files it keeps; false if the peer closed before one.
  package func receive(limit: Int, until deadline: Deadline = .never) throws(WireError) -> Bool {
    self.limit = limit
    waitedMilliseconds = 0
    if current.isWhole { current.clear() }
    if let waited = backlog.takeFirst(into: &current) {
      waitedMilliseconds = waited
      return true
    }
    if let failure = backlog.failure { throw failure }
    if backlog.hasEnded { return false }
    if deadline != .never, !current.hasBegun { try wait(for: .readable, until: deadline) }
    while true {
      switch try advance(&current) {
      case .whole: return true
      case .ended: return false
      case .blocked:
        // Between frames there is no limit of time: the thread sleeps in the first read.
        if current.deadline == .never {
          current.deadline = .after(milliseconds: frameMilliseconds)
        }
        try wait(for: .readable, until: min(deadline, current.deadline))
      }
    }
  }

  /// Checks what the last frame's message says of its descriptors.
  package func expectDescriptors(_ announced: Int) throws(WireError) {
    guard announced == files.count else {
      throw .descriptorsDiffer(announced: announced, received: files.count)
    }
  }

  /// Sends the outgoing frame and, with its first byte, the files' descriptors.
  ///
  /// Throws `timedOut` if the peer does not take the frame in `frameMilliseconds`, or by the
  /// deadline; nothing more can be sent then.
  package func send(
    _ files: [File] = [], until last: Deadline = .never
  ) throws(WireError) {
    guard !isBroken else { throw .timedOut }
    isBroken = true
    try sendRest(0, files, until: last)
  }

  /// Sends the outgoing frame, which has no descriptors, unless the peer has no room for it now.
  ///
  /// Returns whether it was sent.
  package func sendAtOnce() throws(WireError) -> Bool {
    guard !isBroken else { throw .timedOut }
    let sent: Int
    do {
      sent = try socket.send(outgoing.bytes.rawSpan, descriptors: [], waiting: false)
    } catch .wouldBlock {
      return false
    } catch {
      throw .system(error)
    }
    isBroken = true
    try sendRest(sent)
    return true
  }

  /// Sends what follows the first bytes of the outgoing frame; then the connection is not broken.
  private func sendRest(
    _ start: Int, _ files: [File] = [], until last: Deadline = .never
  ) throws(WireError) {
    let bytes = outgoing.bytes
    var sent = start
    var deadline = Deadline.never
    while sent < bytes.count {
      do {
        // Once some bytes went, so did the descriptors: the rest goes without.
        sent += try socket.send(
          bytes.rawSpan.extracting(droppingFirst: sent), descriptors: sent == 0 ? files : [],
          waiting: false)
      } catch .wouldBlock {
        if deadline == .never {
          deadline = min(last, .after(milliseconds: frameMilliseconds))
        }
        willWait()
        try waitToSend(until: deadline)
      } catch {
        throw .system(error)
      }
    }
    isBroken = false
  }

  private enum Progress {
    case whole
    case blocked
    case ended
  }

  /// Takes what has come of a frame; waits only between frames, and not if it is read ahead.
  ///
  /// A frame that is read ahead is left alone if its message is longer than there is room for.
  private func advance(
    _ frame: inout IncomingFrame, aheadInto room: Int? = nil
  ) throws(WireError) -> Progress {
    do {
      return try takeSome(of: &frame, aheadInto: room)
    } catch {
      // Its descriptors are closed now, whatever becomes of the connection.
      frame.clear()
      throw error
    }
  }

  private func takeSome(
    of frame: inout IncomingFrame, aheadInto room: Int?
  ) throws(WireError) -> Progress {
    while !frame.isWhole {
      if frame.isInMessage, frame.admittedByteCount == nil {
        let count = frame.messageByteCount
        if let room, count > room { return .blocked }
        let isFree = room == nil && count <= Connection.freeByteCount
        if !isFree { try admit(.bytes(count)) }
        frame.admittedByteCount = isFree ? 0 : count
      }
      let range = frame.room()
      if range.isEmpty {
        try frame.finishPart(limit: limit)
        continue
      }
      let isBetweenFrames = !frame.hasBegun
      guard
        let count = try receiveSome(
          &frame, range, waiting: isBetweenFrames && room == nil)
      else { return .blocked }
      if count == 0 {
        guard isBetweenFrames else { throw .endedInFrame }
        return .ended
      }
      frame.receive(byteCount: count)
    }
    return .whole
  }

  private func receiveSome(
    _ frame: inout IncomingFrame, _ range: Range<Int>, waiting: Bool
  ) throws(WireError) -> Int? {
    let count: Int
    let known = frame.files.count
    do {
      count = try socket.receive(
        into: &frame.buffer, range: range, descriptors: &frame.files, waiting: waiting)
    } catch .wouldBlock {
      return nil
    } catch {
      throw .system(error)
    }
    // Each byte of a frame could bring more: none may pile up until the frame is whole.
    guard frame.files.count <= Connection.maximumDescriptors else {
      throw .descriptorsDiffer(
        announced: Connection.maximumDescriptors, received: frame.files.count)
    }
    if frame.files.count > known { try admit(.files(frame.files.count - known)) }
    return count
  }

  /// Waits until the peer takes more, and reads what it sends meanwhile: it may not read before.
  private func waitToSend(until deadline: Deadline) throws(WireError) {
    // A union, for a literal would be an array in memory.
    let events = backlog.room == nil ? Poll.Events.writable : .writable.union(.readable)
    let seen = try wait(for: events, until: deadline)
    if seen.contains(.readable) { readAhead() }
  }

  /// Takes what has come of later frames, as far as the backlog has room for it.
  private func readAhead() {
    do {
      while let room = backlog.room {
        switch try advance(&backlog.next, aheadInto: room) {
        case .whole: backlog.append()
        case .blocked: return
        case .ended: backlog.hasEnded = true
        }
      }
    } catch {
      // Whoever receives the next frame learns it; what is being sent is not at fault.
      backlog.failure = error
    }
  }

  @discardableResult
  private func wait(
    for events: Poll.Events, until deadline: Deadline
  ) throws(WireError) -> Poll.Events {
    var poll = Poll()
    poll.add(socket.descriptor, for: events)
    let isReady: Bool
    do {
      isReady = try poll.wait(until: deadline)
    } catch {
      throw .system(error)
    }
    guard isReady else { throw .timedOut }
    return poll.seen(0)
  }

  /// Gives back what only large frames need: a connection between calls is to be small.
  package func shrink() {
    current.clear(keptByteCount: keptByteCount)
    scratch.giveBack()
    outgoing.shrink(to: keptByteCount)
  }
}
