/// A position in bytes that may be hostile, which advances by reading.
///
/// Each read either advances past what it returns, or throws and stays. Numbers from the bytes are
/// compared with the count of bytes left before anything is added to them.
package struct Cursor: ~Escapable {
  private let bytes: Span<UInt8>
  /// The number of bytes that were read.
  package private(set) var offset: Int

  /// Starts at the first byte.
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan) {
    self.bytes = Span(_bytes: bytes)
    offset = 0
  }

  /// Starts within the bytes; the offset must not be past their end.
  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>, offset: Int) {
    precondition(offset >= 0 && offset <= bytes.count)
    self.bytes = bytes
    self.offset = offset
  }

  /// Whether everything was read.
  package var isAtEnd: Bool { offset == bytes.count }

  /// The number of bytes left.
  package var remainingCount: Int { bytes.count &- offset }

  /// Reads four bytes, low byte first; throws `endOfBytes`.
  @_lifetime(self: copy self)
  package mutating func fixed32() throws(TableError) -> UInt32 {
    UInt32(truncatingIfNeeded: try fixed(byteCount: 4))
  }

  /// Reads eight bytes, low byte first; throws `endOfBytes`.
  @_lifetime(self: copy self)
  package mutating func fixed64() throws(TableError) -> UInt64 {
    try fixed(byteCount: 8)
  }

  /// Reads seven bits a byte, low group first; throws `badVarint` past 32 bits, or `endOfBytes`.
  @_lifetime(self: copy self)
  package mutating func varint32() throws(TableError) -> UInt32 {
    // Most lengths and counts are less than 128.
    if offset < bytes.count, bytes[offset] < 0x80 {
      let byte = bytes[offset]
      offset &+= 1
      return UInt32(byte)
    }
    return UInt32(truncatingIfNeeded: try varint(bitCount: 32))
  }

  /// Reads seven bits a byte, low group first; throws `badVarint` past 64 bits, or `endOfBytes`.
  @_lifetime(self: copy self)
  package mutating func varint64() throws(TableError) -> UInt64 {
    if offset < bytes.count, bytes[offset] < 0x80 {
      let byte = bytes[offset]
      offset &+= 1
      return UInt64(byte)
    }
    return try varint(bitCount: 64)
  }

  /// Reads a number of bytes, which live as long as those of the cursor; throws `endOfBytes`.
  @inline(__always)
  @_lifetime(copy self)
  package mutating func take(_ count: UInt64) throws(TableError) -> RawSpan {
    guard count <= UInt64(remainingCount) else { throw .endOfBytes(offset: offset) }
    let start = offset
    offset += Int(count)
    return RawSpan(_elements: bytes.extracting(start..<offset))
  }

  @_lifetime(self: copy self)
  private mutating func fixed(byteCount: Int) throws(TableError) -> UInt64 {
    guard byteCount <= remainingCount else { throw .endOfBytes(offset: offset) }
    var value: UInt64 = 0
    for index in 0..<byteCount {
      value |= UInt64(bytes[offset &+ index]) << (UInt64(index) &* 8)
    }
    offset += byteCount
    return value
  }

  @_lifetime(self: copy self)
  private mutating func varint(bitCount: Int) throws(TableError) -> UInt64 {
    var value: UInt64 = 0
    var position = offset
    for shift in stride(from: 0, to: bitCount, by: 7) {
      guard position < bytes.count else { throw .endOfBytes(offset: offset) }
      let byte = bytes[position]
      position += 1
      let group = UInt64(byte & 0x7f)
      guard bitCount - shift >= 7 || group >> (bitCount - shift) == 0
      else { throw .badVarint(offset: offset) }
      value |= group << shift
      if byte < 0x80 {
        offset = position
        return value
      }
    }
    throw .badVarint(offset: offset)
  }
}
