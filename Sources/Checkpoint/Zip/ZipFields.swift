/// The numbers in records of a zip archive, which are little-endian.
///
/// Records have fixed lengths. Whoever reads a record checks its length once; the offsets of its
/// fields are constants below that length.
extension Collection where Element == UInt8, Index == Int {
  /// The two-byte number at an offset from the first byte.
  func uint16(at offset: Int) -> Int {
    Int(uint64(at: offset, byteCount: 2))
  }

  /// The four-byte number at an offset from the first byte.
  func uint32(at offset: Int) -> Int {
    Int(uint64(at: offset, byteCount: 4))
  }

  /// The eight-byte number at an offset from the first byte.
  func uint64(at offset: Int) -> UInt64 {
    uint64(at: offset, byteCount: 8)
  }

  private func uint64(at offset: Int, byteCount: Int) -> UInt64 {
    var number: UInt64 = 0
    for index in (0..<byteCount).reversed() {
      number = number << 8 | UInt64(self[startIndex + offset + index])
    }
    return number
  }

  /// Whether the record starts with `PK` and the two bytes that name its kind.
  func hasZipSignature(_ first: UInt8, _ second: UInt8) -> Bool {
    count >= 4 && self[startIndex] == UInt8(ascii: "P") && self[startIndex + 1] == UInt8(ascii: "K")
      && self[startIndex + 2] == first && self[startIndex + 3] == second
  }
}

/// The values that stand in 32-bit and 16-bit fields whose number is in a zip64 field.
enum ZipSentinel {
  static let uint16 = 0xffff
  static let uint32 = 0xffff_ffff
}
