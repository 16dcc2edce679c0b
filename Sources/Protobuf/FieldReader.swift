/// Reads the fields of one message without copying any.
///
/// See protobuf's encoding guide.
package struct FieldReader: ~Escapable {
  package enum Value {
    case varint(UInt64)
    /// Where the contents of a length-delimited field are.
    case bytes(Range<Int>)
    case fixed64(UInt64)
    case fixed32(UInt32)
  }

  private let bytes: Span<UInt8>
  /// What the first byte's place counts as.
  private let base: Int
  private var offset = 0

  /// Reads a message that is all of the bytes; ranges count from `base`.
  @_lifetime(copy bytes)
  package init(_ bytes: Span<UInt8>, at base: Int = 0) {
    self.bytes = bytes
    self.base = base
  }

  /// Where the next field begins.
  package var position: Int { base + offset }

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
    default: throw .malformed("a message with wire type \(tag & 7)")
    }
  }

  /// Reads the next number of a packed field, whose contents the bytes are.
  @_lifetime(self: copy self)
  package mutating func nextVarint() throws(MessageError) -> UInt64? {
    offset < bytes.count ? try varint() : nil
  }

  @_lifetime(self: copy self)
  private mutating func varint(
    maximumByteCount: Int = 10
  ) throws(MessageError) -> UInt64 {
    if offset < bytes.count, bytes[offset] < 0x80 {
      offset += 1
      return UInt64(bytes[offset - 1])
    }
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: UInt64(maximumByteCount) * 7, by: 7) {
      guard offset < bytes.count else { throw .malformed("a message that ends early") }
      let byte = bytes[offset]
      offset += 1
      // Of the tenth byte one bit counts.
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw .malformed("a message with an endless number")
  }

  @_lifetime(self: copy self)
  private mutating func fixed(_ count: UInt64) throws(MessageError) -> UInt64 {
    let start = offset
    _ = try take(count)
    return (start..<offset).reversed().reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
  }

  @_lifetime(self: copy self)
  private mutating func take(_ count: UInt64) throws(MessageError) -> Range<Int> {
    guard count <= UInt64(bytes.count - offset) else {
      throw .malformed("a message that ends early")
    }
    offset += Int(count)
    return position - Int(count)..<position
  }
}
