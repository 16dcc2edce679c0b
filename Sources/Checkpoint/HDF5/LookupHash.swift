import WarmstartTensorModel

/// The checksum of HDF5's newer structures: Bob Jenkins's lookup3, `hashlittle` from 0.
enum LookupHash {
  /// Checks that a structure ends with the checksum of what is before.
  static func check(_ bytes: ArraySlice<UInt8>, _ fields: HDF5Fields) throws(IndexError) {
    let stored = bytes.suffix(4).reversed().reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
    let computed = of(bytes.dropLast(4))
    guard stored == computed else {
      throw .malformed(
        at: fields.offset,
        "has \(fields.part) with the checksum \(String(computed, radix: 16)), expected "
          + "\(String(stored, radix: 16))")
    }
  }

  /// Computes the checksum of bytes.
  static func of(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    let seed = 0xdead_beef &+ UInt32(truncatingIfNeeded: bytes.count)
    var (a, b, c) = (seed, seed, seed)
    var rest = bytes
    while rest.count > 12 {
      a &+= word(rest, 0)
      b &+= word(rest, 4)
      c &+= word(rest, 8)
      mix(&a, &b, &c)
      rest = rest.dropFirst(12)
    }
    guard !rest.isEmpty else { return c }
    a &+= word(rest, 0)
    b &+= word(rest, 4)
    c &+= word(rest, 8)
    finish(&a, &b, &c)
    return c
  }

  /// Four bytes from an offset on, low byte first; those that are missing are 0.
  private static func word(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt32 {
    bytes.dropFirst(offset).prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  private static func mix(_ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32) {
    func step(_ x: inout UInt32, _ y: inout UInt32, _ z: UInt32, _ count: UInt32) {
      x = (x &- y) ^ (y << count | y >> (32 - count))
      y = y &+ z
    }
    step(&a, &c, b, 4)
    step(&b, &a, c, 6)
    step(&c, &b, a, 8)
    step(&a, &c, b, 16)
    step(&b, &a, c, 19)
    step(&c, &b, a, 4)
  }

  private static func finish(_ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32) {
    func step(_ x: inout UInt32, _ y: UInt32, _ count: UInt32) {
      x = (x ^ y) &- (y << count | y >> (32 - count))
    }
    step(&c, b, 14)
    step(&a, c, 11)
    step(&b, a, 25)
    step(&c, b, 16)
    step(&a, c, 4)
    step(&b, a, 14)
    step(&c, b, 24)
  }
}
