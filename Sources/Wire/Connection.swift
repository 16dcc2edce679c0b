import SystemPackage
package import WarmstartKernel
package import WarmstartProtobuf

/// One end of a connection: frames in both directions, and the descriptors that they carry.
///
/// A reader receives exactly the five bytes of the prefix, then exactly the message. Descriptors
/// come with the first byte of their frame, so reading past a frame would take those of the next
/// frame.
///
/// A writer that waits for its peer reads meanwhile: the peer may be writing, too, and wait for us.
/// The frames that it reads ahead wait in a backlog, which is bounded in frames and bytes.
///
/// Buffers are kept from frame to frame. A connection belongs to one thread. See `unix(7)`.
///
/// The frames are private and only loaded, stored and swapped where they are, and changed in local
/// variables: for accesses that short, Swift need not check at run time that no others overlap.
package final class Connection {
  /// What a frame costs its receiver before it is parsed.
  package enum Burden: Sendable, Hashable {
    /// A message of that many bytes, more than `freeByteCount`.
    case bytes(Int)
    /// Descriptors that have arrived.
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
  /// The longest buffer that is kept after a frame, where connections are few.
  package static let keptByteCount = 1 << 20
  /// The longest message that is received, or sent, without asking for memory.
  package static let freeByteCount = 4 << 10

  package let socket: Socket
  /// Memory for the message that is being packed or unpacked.
  package let scratch: Scratch
  /// The frame that is being made.
  private var outgoing = FieldWriter()
  /// The last frame, or as much of the next one as has arrived.
  private var current: IncomingFrame
  /// The frames that were read ahead.
  private var backlog = Backlog()
  /// Whether any frame was ever read ahead, which a connection seldom needs.
  private var hasReadAhead = false
  /// The longest message that the last call of `receive` took.
  private var limit = 0
  private var lastWaitedMilliseconds = 0
  /// Where the buffers come from, and go back to.
  private let memory: Memory
  /// Asked before more is received; throws to refuse it.
  private let admit: (Burden) throws(WireError) -> Void
  private let frameMilliseconds: Int
  private let keptByteCount: Int
  /// Called before waiting for a peer that does not read.
  private let willWait: () -> Void
  /// Whether a frame was sent in part: the peer would read whatever followed as its rest.
  private var isBroken = false

  /// Makes an end of a connection.
  ///
  /// - Parameters:
  ///   - memory: Buffers to use, which go back when the connection ends.
  ///   - frameMilliseconds: How long a frame may take; tests are less patient.
  ///   - keptByteCount: The longest buffer that is kept after a frame.
  ///   - admit: Asked before more is received; throws to refuse it.
  ///   - willWait: Called before waiting for a peer that does not read.
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
    current = IncomingFrame(memory.buffer)
    memory.buffer = []
    swap(&outgoing, &memory.outgoing)
  }

  deinit {
    shrink()
    memory.buffer = current.buffer
    swap(&outgoing, &memory.outgoing)
  }

  /// A connection's buffers, which the next connection on the same thread uses again.
  package final class Memory {
    fileprivate let scratch = Scratch()
    fileprivate var outgoing = FieldWriter()
    // Not the shared buffer, which would be copied to receive the first byte.
    fileprivate var buffer = [UInt8](unwritten: IncomingFrame.smallBuffer.count)

    package init() {}
  }

  /// How long the last frame waited in the backlog.
  package var waitedMilliseconds: Int { lastWaitedMilliseconds }

  /// The message of the last frame.
  package var message: ArraySlice<UInt8> {
    let byteCount = current.isWhole ? current.messageByteCount : 0
    let bytes = current.buffer
    return bytes[0..<byteCount]
  }

  /// The descriptors that came with the last frame.
  package var files: [File] { current.files }

  /// The bytes and files of the frames that were read ahead.
  package var backlogBurden: (byteCount: Int, fileCount: Int) { backlog.burden }

  /// Runs the body with a part of the last frame's message.
  package func withMessage<Result, Failure>(
    _ range: Range<Int>, _ body: (RawSpan, Scratch) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = current.buffer
    return try body(bytes.rawSpan.extracting(range), scratch)
  }

  /// Whether a frame, or the end, was read ahead: `receive` does not wait for it.
  package var hasBacklog: Bool { !backlog.isEmpty }

  /// Waits for a frame, whose message and files it keeps; returns false if the peer closed instead.
  package func receive(limit: Int, until deadline: Deadline = .never) throws(WireError) -> Bool {
    self.limit = limit
    lastWaitedMilliseconds = 0
    var frame = IncomingFrame([])
    swap(&frame, &current)
    defer { swap(&frame, &current) }
    return try receive(into: &frame, until: deadline)
  }

  private func receive(
    into frame: inout IncomingFrame, until deadline: Deadline
  ) throws(WireError) -> Bool {
    if frame.isWhole { frame.clear() }
    if hasReadAhead, !backlog.isUnused {
      if let waited = backlog.takeFirst(into: &frame) {
        lastWaitedMilliseconds = waited
        return true
      }
      if let failure = backlog.failure { throw failure }
      if backlog.hasEnded { return false }
    }
    if deadline != .never, !frame.hasBegun { try wait(for: .readable, until: deadline) }
    while true {
      switch try advance(&frame) {
      case .whole: return true
      case .ended: return false
      case .blocked:
        // Between frames there is no limit of time: the thread sleeps in the first read.
        if frame.deadline == .never {
          frame.deadline = .after(milliseconds: frameMilliseconds)
        }
        try wait(for: .readable, until: min(deadline, frame.deadline))
      }
    }
  }

  /// Throws unless the last frame came with as many descriptors as its message announced.
  package func expectDescriptors(_ announced: Int) throws(WireError) {
    let count = current.files.count
    guard announced == count else {
      throw .descriptorsDiffer(announced: announced, received: count)
    }
  }

  /// Makes the outgoing frame, or goes on with it.
  ///
  /// - Returns: The length of the frame's message, once the body has finished the frame.
  @discardableResult
  package func compose(_ body: (inout FieldWriter, Scratch) -> Void) -> Int {
    var frame = FieldWriter()
    swap(&frame, &outgoing)
    body(&frame, scratch)
    // Only the frame waits for a client that does not read.
    scratch.giveBack()
    let byteCount = frame.byteCount - Connection.prefixByteCount
    swap(&frame, &outgoing)
    return byteCount
  }

  /// Sends the outgoing frame and, with its first byte, the files' descriptors.
  ///
  /// Throws `timedOut` if the peer does not receive the frame within `frameMilliseconds`, or by the
  /// deadline; nothing more can be sent then.
  package func send(
    _ files: [File] = [], until last: Deadline = .never
  ) throws(WireError) {
    guard !isBroken else { throw .timedOut }
    isBroken = true
    try sendRest(0, files, until: last)
  }

  /// Sends the outgoing frame, which has no descriptors, unless the socket is full.
  ///
  /// Returns whether it was sent.
  package func sendAtOnce() throws(WireError) -> Bool {
    guard !isBroken else { throw .timedOut }
    let sent: Int
    do throws(Errno) {
      var frame = FieldWriter()
      swap(&frame, &outgoing)
      defer { swap(&frame, &outgoing) }
      sent = try socket.send(frame.bytes, descriptors: [], waiting: false)
    } catch .wouldBlock {
      return false
    } catch {
      throw .system(error)
    }
    isBroken = true
    try sendRest(sent)
    return true
  }

  /// Sends the outgoing frame from a position on; afterwards the connection is not broken.
  private func sendRest(
    _ start: Int, _ files: [File] = [], until last: Deadline = .never
  ) throws(WireError) {
    var frame = FieldWriter()
    swap(&frame, &outgoing)
    defer { swap(&frame, &outgoing) }
    var sent = start
    var deadline = Deadline.never
    while sent < frame.byteCount {
      do {
        // The descriptors went with the first bytes.
        sent += try socket.send(
          frame.bytes.extracting(droppingFirst: sent), descriptors: sent == 0 ? files : [],
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

  /// Receives as much of a frame as has arrived; waits only between frames, and not to read ahead.
  ///
  /// A frame that is read ahead is left alone if its message is longer than the room for it.
  private func advance(
    _ frame: inout IncomingFrame, aheadInto room: Int? = nil
  ) throws(WireError) -> Progress {
    do {
      return try takeSome(of: &frame, aheadInto: room)
    } catch {
      // Closes its descriptors now, even if the connection goes on for a while.
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
    // Each byte could bring more descriptors: they must not pile up until the frame is whole.
    guard frame.files.count <= Connection.maximumDescriptors else {
      throw .descriptorsDiffer(
        announced: Connection.maximumDescriptors, received: frame.files.count)
    }
    if frame.files.count > known { try admit(.files(frame.files.count - known)) }
    return count
  }

  /// Waits until the socket has room, and reads meanwhile: the peer may have to write before it
  /// reads.
  private func waitToSend(until deadline: Deadline) throws(WireError) {
    // A union, for a literal would be an array in memory.
    let events = backlog.room == nil ? Poll.Events.writable : .writable.union(.readable)
    let seen = try wait(for: events, until: deadline)
    if seen.contains(.readable) { readAhead() }
  }

  /// Receives later frames, as far as they have arrived and the backlog has room.
  private func readAhead() {
    hasReadAhead = true
    do {
      while let room = backlog.room {
        switch try advance(&backlog.next, aheadInto: room) {
        case .whole: backlog.append()
        case .blocked: return
        case .ended: backlog.hasEnded = true
        }
      }
    } catch {
      // The next `receive` throws it; the frame that is being sent is not at fault.
      backlog.failure = error
    }
  }

  @discardableResult
  private func wait(
    for events: Poll.Events, until deadline: Deadline
  ) throws(WireError) -> Poll.Events {
    let seen: Poll.Events?
    do {
      seen = try Poll.wait(for: events, of: socket.descriptor, until: deadline)
    } catch {
      throw .system(error)
    }
    guard let seen else { throw .timedOut }
    return seen
  }

  /// Frees what only large frames need, to keep a connection small between calls.
  package func shrink() {
    let frameByteCount = current.buffer.count
    let fileCount = current.files.count
    if fileCount > 0 || frameByteCount > keptByteCount {
      var frame = IncomingFrame([])
      swap(&frame, &current)
      frame.clear(keptByteCount: keptByteCount)
      swap(&frame, &current)
    }
    scratch.giveBack()
    if outgoing.isLonger(than: keptByteCount) {
      var frame = FieldWriter()
      swap(&frame, &outgoing)
    }
  }
}
