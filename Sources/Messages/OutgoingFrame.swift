internal import CProtobufC

/// A frame that is being made: the body first, then the envelope and the prefix in front of it.
///
/// Packing the body once, behind room for what precedes it, saves two copies of every reply.
package struct OutgoingFrame: Sendable {
  /// Bytes of the frame's prefix: flags and length.
  package static let prefixByteCount = 5
  /// Room for an envelope and the prefix; longer ones move the body.
  private static let headroom = 256

  private var storage: [UInt8] = []
  private var start = 0
  private var end = 0

  package init() {}

  /// The finished frame.
  package var bytes: ArraySlice<UInt8> { storage[start..<end] }

  /// The number of bytes so far.
  package var byteCount: Int { end - start }

  /// Begins a frame with an empty body.
  mutating func begin() {
    reserve(0)
  }

  /// Begins a frame whose body is the message.
  mutating func begin(_ message: UnsafePointer<ProtobufCMessage>) {
    let count = unsafe protobuf_c_message_get_packed_size(message)
    reserve(count)
    // There is room for the packed size behind the headroom.
    let packed = unsafe storage.withUnsafeMutableBufferPointer { buffer in
      unsafe protobuf_c_message_pack(message, buffer.baseAddress?.advanced(by: start))
    }
    precondition(packed == count)
  }

  /// Gives the buffer back if it has become larger than most frames need.
  package mutating func shrink() {
    guard storage.count > 128 << 10 else { return }
    self = OutgoingFrame()
  }

  private mutating func reserve(_ count: Int) {
    let needed = OutgoingFrame.headroom + count
    if storage.count < needed {
      storage = [UInt8](repeating: 0, count: max(needed, 16 << 10))
    }
    start = OutgoingFrame.headroom
    end = needed
  }

  // MARK: Envelope fields, last first

  mutating func prepend(varint value: UInt64) {
    let count = max(1, (64 - value.leadingZeroBitCount + 6) / 7)
    makeRoom(count)
    start -= count
    for index in 0..<count {
      let group = UInt8(truncatingIfNeeded: value >> (7 * UInt64(index))) & 0x7f
      storage[start + index] = index < count - 1 ? group | 0x80 : group
    }
  }

  /// Turns everything so far into the contents of a length-delimited field.
  mutating func wrap(field: UInt64) {
    guard byteCount > 0 else { return }
    prepend(varint: UInt64(byteCount))
    prepend(varint: field << 3 | 2)
  }

  mutating func prepend(field: UInt64, _ value: UInt64) {
    guard value != 0 else { return }
    prepend(varint: value)
    prepend(varint: field << 3)
  }

  mutating func prepend(field: UInt64, _ text: [UInt8]) {
    makeRoom(text.count)
    start -= text.count
    storage.replaceSubrange(start..<start + text.count, with: text)
    prepend(varint: UInt64(text.count))
    prepend(varint: field << 3 | 2)
  }

  /// The body, as long as no envelope is around it.
  package var body: ArraySlice<UInt8> { storage[start..<end] }

  /// Adds fields to the body.
  package mutating func append(_ fields: [UInt8]) {
    if storage.count < end + fields.count {
      storage += [UInt8](repeating: 0, count: end + fields.count - storage.count)
    }
    storage.replaceSubrange(end..<end + fields.count, with: fields)
    end += fields.count
  }

  /// Writes the prefix, which finishes the frame.
  mutating func prependPrefix() {
    let count = UInt32(byteCount)
    makeRoom(OutgoingFrame.prefixByteCount)
    start -= OutgoingFrame.prefixByteCount
    storage[start] = 0
    for index in 0..<4 {
      storage[start + 1 + index] = UInt8(truncatingIfNeeded: count >> (24 - 8 * UInt32(index)))
    }
  }

  private mutating func makeRoom(_ count: Int) {
    guard count > start else { return }
    let room = count + OutgoingFrame.headroom
    storage.insert(contentsOf: repeatElement(0, count: room), at: 0)
    start += room
    end += room
  }
}
