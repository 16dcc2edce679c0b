import WarmstartKernel

/// The frames that were read while another was being sent, in order.
struct Backlog {
  private struct Frame {
    var bytes: [UInt8] = []
    var files: [File] = []
    /// In nanoseconds on the monotonic clock.
    var arrived: Int64 = 0
  }

  /// The frame after them, as far as it has arrived.
  var next = IncomingFrame([])
  /// Whether the peer has closed its end.
  var hasEnded = false
  /// Why nothing more can be received.
  var failure: WireError?
  private var frames: [Frame] = []
  /// The position of the first frame; those before it were taken and are empty.
  private var first = 0
  private var byteCount = 0
  private var fileCount = 0

  /// Whether nothing was read ahead, not even the beginning of a frame.
  var isUnused: Bool { isEmpty && !next.hasBegun }

  /// Whether `receive` would find nothing here: no frame, no end and no failure.
  var isEmpty: Bool { first == frames.count && !hasEnded && failure == nil }

  /// The most bytes that the next message may have; nil if nothing more may be read ahead.
  var room: Int? {
    let room = Connection.maximumBacklogByteCount - byteCount
    let isFull =
      frames.count - first >= Connection.maximumBacklogCount || next.messageByteCount > room
    return isFull || hasEnded || failure != nil ? nil : room
  }

  /// The bytes and files of the frames, and of the next one so far.
  var burden: (byteCount: Int, fileCount: Int) {
    (byteCount + (next.admittedByteCount ?? 0), fileCount + next.files.count)
  }

  /// Adds the next frame, which is whole.
  mutating func append() {
    frames.append(
      Frame(
        bytes: Array(next.message), files: next.files, arrived: MonotonicClock.nanoseconds()))
    byteCount += next.messageByteCount
    fileCount += next.files.count
    next.clear()
  }

  /// Takes the first frame out; returns how many milliseconds it waited, or nil if there is none.
  mutating func takeFirst(into frame: inout IncomingFrame) -> Int? {
    guard first < frames.count else {
      // The caller goes on with the part of the next frame that has arrived.
      if next.hasBegun {
        frame = next
        next = IncomingFrame([])
      }
      return nil
    }
    var taken = Frame()
    swap(&taken, &frames[first])
    first += 1
    if first * 2 > frames.count {
      frames.removeFirst(first)
      first = 0
    }
    if frames.isEmpty {
      frames = []
      // A connection that has nothing in its backlog keeps no memory for it.
      if !next.hasBegun { next = IncomingFrame([]) }
    }
    byteCount -= taken.bytes.count
    fileCount -= taken.files.count
    frame.become(taken.bytes, taken.files)
    return Int(max(0, MonotonicClock.nanoseconds() - taken.arrived) / 1_000_000)
  }
}
