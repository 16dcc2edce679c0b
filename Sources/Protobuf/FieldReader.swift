/// Reads the fields of one message without copying any.
///
/// See protobuf's encoding guide.
@usableFromInline package struct FieldReader: ~Escapable {
  /// What a field holds.
  @usableFromInline package enum Value {
    /// A number of variable length.
    case varint(UInt64)
    /// Where the contents of a length-delimited field are.
    case bytes(Range<Int>)
    /// A number of eight bytes.
    case fixed64(UInt64)
    /// A number of four bytes.
    case fixed32(UInt32)
  }

  @usableFromInline let bytes: Span<UInt8>
  /// What the first byte's place counts as.
  @usableFromInline let base: Int
  @usableFromInline var offset = 0

  /// Reads a message that is all of the bytes; ranges count from `base`.
  @inlinable
  @_lifetime(copy bytes)
  package init(_ bytes: Span<UInt8>, at base: Int = 0) {
    self.bytes = bytes
    self.base = base
  }

  /// Where the next field begins.
  @inlinable package var position: Int { base + offset }

  /// Reads the next field; nil at the end of the message.
  ///
  /// Throws if the message ends within the field, or if its number or wire type does not exist.
  @inlinable
  @_lifetime(self: copy self)
  package mutating func next() throws(MessageError) -> (number: UInt64, value: Value)? {
    guard offset < bytes.count else { return nil }
    // As in protobuf: of a tag's five bytes 32 bits count.
    let tag = UInt64(UInt32(truncatingIfNeeded: try varint(maximumByteCount: 5)))
    let number = tag >> 3
    guard number != 0 else { throw .malformed("a message with field number 0") }
    switch tag & 7 {
    case 0: return (number, .varint(try varint()))
    case 1: return (number, .fixed64(try fixed(8)))
    case 2: return (number, .bytes(try take(try varint(maximumByteCount: 5))))
    case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
    default: throw FieldReader.unknown(wireType: tag & 7)
    }
  }

  /// Reads the next number of a packed field, whose contents the bytes are.
  @inlinable
  @_lifetime(self: copy self)
  package mutating func nextVarint() throws(MessageError) -> UInt64? {
    offset < bytes.count ? try varint() : nil
  }

  @inlinable
  @_lifetime(self: copy self)
  mutating func varint(maximumByteCount: Int = 10) throws(MessageError) -> UInt64 {
    if offset < bytes.count, bytes[offset] < 0x80 {
      offset += 1
      return UInt64(bytes[offset - 1])
    }
    return try longVarint(maximumByteCount)
  }

  @usableFromInline
  @_lifetime(self: copy self)
  mutating func longVarint(_ maximumByteCount: Int) throws(MessageError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: UInt64(maximumByteCount) * 7, by: 7) {
      guard offset < bytes.count else { throw FieldReader.early }
      let byte = bytes[offset]
      offset += 1
      // Of the tenth byte one bit counts.
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw .malformed("a message with an endless number")
  }

  @usableFromInline
  @_lifetime(self: copy self)
  mutating func fixed(_ count: UInt64) throws(MessageError) -> UInt64 {
    let start = offset
    _ = try take(count)
    return (start..<offset).reversed().reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
  }

  @inlinable
  @_lifetime(self: copy self)
  mutating func take(_ count: UInt64) throws(MessageError) -> Range<Int> {
    guard count <= UInt64(bytes.count - offset) else { throw FieldReader.early }
    offset += Int(count)
    return position - Int(count)..<position
  }

  @usableFromInline static func unknown(wireType: UInt64) -> MessageError {
    .malformed("a message with wire type \(wireType)")
  }

  @usableFromInline static var early: MessageError { .malformed("a message that ends early") }
}
