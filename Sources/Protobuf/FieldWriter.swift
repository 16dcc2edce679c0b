package import CWarmstartProtobufC

/// Writes the fields of a message from the last to the first, and whatever goes in front of it.
///
/// The length of a message precedes it: writing backwards, it is known when it is due. A frame's
/// envelope and prefix follow its body in the same way, which saves two copies of every reply.
///
/// A writer owns its buffer, so that writing a byte needs no check that nothing else refers to it.
///
/// `@usableFromInline` is what lets other modules inline a package type's `@inlinable` methods.
@safe
@usableFromInline package struct FieldWriter: ~Copyable {
  /// Room for an envelope and the prefix; longer ones move the body.
  private static let headroom = 256
  /// Enough for most frames.
  private static let smallestByteCount = 16 << 10

  /// The buffer, whose bytes in front of the start are never read; nil before the first frame.
  @usableFromInline var storage: UnsafeMutableRawPointer?
  @usableFromInline var capacity = 0
  /// Where the frame begins; it ends with the buffer.
  @usableFromInline var start = 0

  package init() {}

  deinit {
    unsafe storage?.deallocate()
  }

  /// The frame as far as it is written.
  package var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      // The bytes from the start on are written, and the buffer lives as long as the writer.
      let frame = unsafe UnsafeRawBufferPointer(
        start: storage.map { unsafe $0 + start }, count: byteCount)
      return unsafe _overrideLifetime(RawSpan(_unsafeBytes: frame), borrowing: self)
    }
  }

  /// A copy of the frame as far as it is written.
  package borrowing func copy() -> [UInt8] {
    let bytes = bytes
    return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  /// The number of bytes so far.
  @inlinable package var byteCount: Int { capacity &- start }

  /// Begins a frame with an empty body, whose fields are then put in front of each other.
  ///
  /// `byteCount` is about how long it will be.
  package mutating func begin(reserving byteCount: Int = 0) {
    let needed = FieldWriter.headroom + byteCount
    if capacity < needed {
      unsafe storage?.deallocate()
      capacity = max(needed, FieldWriter.smallestByteCount)
      unsafe storage = .allocate(byteCount: capacity, alignment: FieldWriter.alignment)
    }
    start = capacity
  }

  /// What malloc gives anyway.
  private static let alignment = 16

  /// Begins a frame whose body is the message.
  package mutating func begin(_ message: UnsafePointer<ProtobufCMessage>) {
    begin()
    unsafe prepend(message)
  }

  /// Whether the buffer is longer than most frames need, or than that many bytes.
  @inlinable
  @inline(__always)
  package func isLonger(than byteCount: Int) -> Bool {
    capacity > min(byteCount, FieldWriter.keptByteCount)
  }

  /// The longest buffer that is worth keeping; chosen, not tuned.
  @inlinable static var keptByteCount: Int { 128 << 10 }

  // MARK: Fields, last first

  /// Puts a number in front.
  @inlinable
  package mutating func prepend(varint value: UInt64) {
    guard value >= 0x80 || start == 0 else {
      start &-= 1
      // The start was above 0, so the byte in front of it lies in the buffer.
      unsafe storage.unsafelyUnwrapped.storeBytes(
        of: UInt8(truncatingIfNeeded: value), toByteOffset: start, as: UInt8.self)
      return
    }
    prepend(longVarint: value)
  }

  @usableFromInline mutating func prepend(longVarint value: UInt64) {
    let last = max(0, (63 &- value.leadingZeroBitCount) / 7)
    unsafe prepend(byteCount: last &+ 1) { place in
      var rest = value
      var index = 0
      while index < last {
        unsafe place.storeBytes(
          of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: index, as: UInt8.self)
        rest >>= 7
        index &+= 1
      }
      unsafe place.storeBytes(
        of: UInt8(truncatingIfNeeded: rest), toByteOffset: last, as: UInt8.self)
    }
  }

  /// Turns everything so far into the contents of a length-delimited field.
  package mutating func wrap(field: UInt64) {
    guard byteCount > 0 else { return }
    prepend(varint: UInt64(byteCount))
    prepend(varint: field << 3 | 2)
  }

  /// Puts a field in front that is a number; nothing if it is 0.
  @inlinable
  package mutating func prepend(field: UInt64, _ value: UInt64) {
    guard value != 0 else { return }
    prepend(varint: value)
    prepend(varint: field << 3)
  }

  /// Puts a field in front that is the bytes.
  @inlinable
  package mutating func prepend(field: UInt64, _ bytes: Span<UInt8>) {
    prepend(bytes)
    prepend(varint: UInt64(bytes.count))
    prepend(varint: field << 3 | 2)
  }

  /// Puts a field in front that is a text; nothing if it is empty.
  package mutating func prepend(field: UInt64, text: String) {
    var text = text
    text.withUTF8 { utf8 in
      if utf8.count > 0 { unsafe prepend(field: field, Span(_unsafeElements: utf8)) }
    }
  }

  /// Puts bytes in front, which may be whole fields.
  @inlinable
  package mutating func prepend(_ bytes: Span<UInt8>) {
    unsafe prepend(byteCount: bytes.count) { place in
      unsafe bytes.withUnsafeBytes { bytes in
        guard let source = bytes.baseAddress else { return }
        unsafe place.copyMemory(from: source, byteCount: bytes.count)
      }
    }
  }

  /// Puts four bytes in front, with the high one first, as a frame's prefix has them.
  package mutating func prepend(bigEndian value: UInt32) {
    unsafe prepend(byteCount: 4) { place in
      unsafe place.storeBytes(of: value.bigEndian, as: UInt32.self)
    }
  }

  /// Puts the fields of a message in front.
  package mutating func prepend(_ message: UnsafePointer<ProtobufCMessage>) {
    let count = unsafe protobuf_c_message_get_packed_size(message)
    unsafe prepend(byteCount: count) { place in
      let packed = unsafe protobuf_c_message_pack(
        message, place.assumingMemoryBound(to: UInt8.self))
      precondition(packed == count)
    }
  }

  /// Puts a field in front that is the message whose fields the body puts in front.
  @inlinable
  @inline(__always)
  package mutating func prepend(field: UInt64, message body: (inout FieldWriter) -> Void) {
    let after = byteCount
    body(&self)
    prepend(varint: UInt64(byteCount - after))
    prepend(varint: field << 3 | 2)
  }

  /// Puts a packed field of fixed width in front; nothing if it has no elements.
  @inlinable
  package mutating func prepend<Value: BitwiseCopyable>(field: UInt64, column: Span<Value>) {
    unsafe prepend(field: field, byteCount: column.count * MemoryLayout<Value>.size) { place in
      unsafe column.withUnsafeBytes { bytes in
        guard let source = bytes.baseAddress else { return }
        unsafe place.copyMemory(from: source, byteCount: bytes.count)
      }
    }
  }

  /// Puts a packed field of fixed width in front, whose elements are computed.
  @inlinable
  @inline(__always)
  package mutating func prepend<Value: BitwiseCopyable>(
    field: UInt64, count: Int, _ element: (Int) -> Value
  ) {
    let width = MemoryLayout<Value>.size
    unsafe prepend(field: field, byteCount: count * width) { place in
      for position in 0..<count {
        unsafe place.storeBytes(
          of: element(position), toByteOffset: position &* width, as: Value.self)
      }
    }
  }

  /// Puts a field in front whose contents the body writes, all of them; nothing if there are none.
  @inlinable
  @inline(__always)
  package mutating func prepend(
    field: UInt64, byteCount: Int, _ write: (UnsafeMutableRawPointer) -> Void
  ) {
    guard byteCount > 0 else { return }
    unsafe prepend(byteCount: byteCount, write)
    prepend(varint: UInt64(byteCount))
    prepend(varint: field << 3 | 2)
  }

  /// Puts bytes in front that the body writes, all of them.
  @inlinable
  @inline(__always)
  package mutating func prepend(byteCount: Int, _ write: (UnsafeMutableRawPointer) -> Void) {
    guard byteCount > 0 else { return }
    makeRoom(byteCount)
    start &-= byteCount
    // `makeRoom` has made room for that many bytes in front of the frame.
    unsafe write(storage.unsafelyUnwrapped + start)
  }

  @inlinable mutating func makeRoom(_ count: Int) {
    if count > start { moveBack(count) }
  }

  /// Moves the frame to a longer buffer.
  @usableFromInline mutating func moveBack(_ count: Int) {
    let frameByteCount = byteCount
    let longer = capacity + count + max(frameByteCount, FieldWriter.headroom)
    let buffer = UnsafeMutableRawPointer.allocate(
      byteCount: longer, alignment: FieldWriter.alignment)
    if let storage = unsafe storage {
      // Both buffers end with the frame.
      unsafe (buffer + (longer - frameByteCount)).copyMemory(
        from: storage + start, byteCount: frameByteCount)
      unsafe storage.deallocate()
    }
    unsafe storage = buffer
    capacity = longer
    start = longer - frameByteCount
  }
}
