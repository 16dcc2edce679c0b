import WarmstartKernel
import WarmstartProtobuf

/// A frame that is arriving: its prefix, then its message, and the descriptors that came with them.
struct IncomingFrame {
  /// A new buffer.
  ///
  /// Buffers grow fourfold with the bytes that arrive, not to the length that a peer announces.
  static let smallBuffer = [UInt8](repeating: 0, count: 16 << 10)

  /// The bytes of the part that is arriving, from the first element on.
  var buffer: [UInt8]
  /// The descriptors that have arrived.
  var files: [File] = []
  /// When the frame must be whole; `never` until the receiver waits for the rest.
  var deadline = Deadline.never
  /// The bytes that the receiver admitted; nil before the length is known.
  var admittedByteCount: Int?
  /// Whether the prefix has arrived.
  private(set) var isInMessage = false
  private(set) var isWhole = false
  /// The length of the message, once the prefix has arrived.
  private(set) var messageByteCount = 0
  private var receivedByteCount = 0

  init(_ buffer: [UInt8]) {
    self.buffer = buffer
  }

  /// Whether any byte of the frame has arrived.
  var hasBegun: Bool { isInMessage || receivedByteCount > 0 }

  /// The message; empty until the frame is whole.
  var message: ArraySlice<UInt8> { buffer[0..<(isWhole ? messageByteCount : 0)] }

  /// Makes room for the rest of the part that is arriving; returns an empty range if nothing is
  /// left.
  mutating func room() -> Range<Int> {
    let goal = isInMessage ? messageByteCount : Connection.prefixByteCount
    if receivedByteCount == buffer.count, goal > buffer.count {
      let more = min(goal - buffer.count, max(3 * buffer.count, IncomingFrame.smallBuffer.count))
      buffer.append(addingCapacity: more) { bytes in bytes.append(repeating: 0, count: more) }
    }
    return receivedByteCount..<min(goal, buffer.count)
  }

  mutating func receive(byteCount: Int) {
    receivedByteCount += byteCount
  }

  /// Ends the part that was arriving: after the prefix comes the message, and then the frame is
  /// whole.
  mutating func finishPart(limit: Int) throws(WireError) {
    guard !isInMessage else {
      isWhole = true
      return
    }
    let flags = buffer[0]
    let length = buffer[1...4].reduce(0) { $0 << 8 | Int($1) }
    guard flags == 0 else { throw WireError(prefix: buffer[0..<Connection.prefixByteCount]) }
    guard length <= limit else { throw .tooLong(byteCount: length, limit: limit) }
    messageByteCount = length
    receivedByteCount = 0
    isInMessage = true
  }

  /// Becomes a frame that was read ahead.
  mutating func become(_ bytes: [UInt8], _ files: [File]) {
    clear()
    if buffer.count < bytes.count {
      buffer = bytes
    } else {
      buffer.replaceSubrange(0..<bytes.count, with: bytes)
    }
    self.files = files
    messageByteCount = bytes.count
    isInMessage = true
    isWhole = true
  }

  /// Begins a new frame; frees a buffer that is longer than `keptByteCount`.
  mutating func clear(keptByteCount: Int = .max) {
    if buffer.count > keptByteCount { buffer = IncomingFrame.smallBuffer }
    if !files.isEmpty { files = [] }
    deadline = .never
    admittedByteCount = nil
    isInMessage = false
    isWhole = false
    messageByteCount = 0
    receivedByteCount = 0
  }
}
