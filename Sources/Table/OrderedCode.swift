/// The keys under which a checkpoint stores the slices of partitioned tensors.
///
/// They are encoded in OrderedCode, which preserves order: the number 0, the tensor's name, its
/// rank, then the start and length of each axis.
package enum SliceKey {
  /// Encodes the key of a slice of a tensor.
  ///
  /// An extent without a length covers the whole axis. Its key differs from the key of the same
  /// extent spelled out, so pass extents as the checkpoint's list of slices spells them.
  package static func encode(
    name: ArraySlice<UInt8>, extents: [(start: Int, length: Int?)]
  ) -> [UInt8] {
    var code = OrderedCode()
    code.append(unsigned: 0)
    code.append(name)
    code.append(unsigned: UInt64(extents.count))
    for extent in extents {
      code.append(signed: extent.length == nil ? 0 : extent.start)
      code.append(signed: extent.length ?? -1)
    }
    return code.bytes
  }
}

/// Bytes that sort like the values encoded in them.
struct OrderedCode {
  private(set) var bytes: [UInt8] = []

  /// Appends the number of bytes of a number, then those bytes, high byte first.
  mutating func append(unsigned number: UInt64) {
    let byteCount = (64 - number.leadingZeroBitCount + 7) / 8
    bytes.append(UInt8(byteCount))
    append(Int64(bitPattern: number), byteCount: byteCount)
  }

  /// Appends a string: its 00 and ff bytes are escaped, so that 00 01 can end it.
  mutating func append(_ string: ArraySlice<UInt8>) {
    bytes.reserveCapacity(bytes.count + string.count + 2)
    for byte in string {
      bytes.append(byte)
      if byte == 0x00 { bytes.append(0xff) }
      if byte == 0xff { bytes.append(0x00) }
    }
    bytes.append(0x00)
    bytes.append(0x01)
  }

  /// Appends a signed number in as few bytes as hold it, seven bits in each.
  ///
  /// The leading bits, flipped by the sign, encode the number of bytes: `10…` is one byte, `110…`
  /// two.
  mutating func append(signed number: Int) {
    let number = Int64(number)
    let magnitude = number < 0 ? ~number : number
    let bitCount = 64 - magnitude.leadingZeroBitCount + 1
    let byteCount = (bitCount + 6) / 7
    let start = bytes.count
    append(number, byteCount: byteCount)
    // The first `byteCount` bits of the code are ones.
    let header = UInt16.max << UInt16(16 - byteCount)
    bytes[start] ^= UInt8(header >> 8)
    if byteCount > 8 { bytes[start + 1] ^= UInt8(header & 0xff) }
  }

  /// Appends the low bytes of a number, or its sign in their place, high byte first.
  private mutating func append(_ number: Int64, byteCount: Int) {
    for index in stride(from: byteCount - 1, through: 0, by: -1) {
      bytes.append(UInt8(truncatingIfNeeded: number >> Int64(min(index * 8, 63))))
    }
  }
}
