/// Makes raw snappy blocks: literals, and copies of runs of one byte.
enum SnappyEncoder {
  static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var encoded = varint(bytes.count)
    var literal: [UInt8] = []
    var position = 0
    while position < bytes.count {
      let run = run(in: bytes, at: position)
      if run >= 4 {
        encoded += literals(literal) + copy(count: run, offset: 1)
        literal = []
        position += run
      } else {
        literal.append(bytes[position])
        position += 1
      }
    }
    return encoded + literals(literal)
  }

  /// A block that expands to one byte, repeated this often.
  static func bomb(byteCount: Int) -> [UInt8] {
    var encoded = varint(byteCount) + literals([0])
    var left = byteCount - 1
    while left > 0 {
      encoded += copy(count: min(left, 64), offset: 1)
      left -= min(left, 64)
    }
    return encoded
  }

  /// The number of bytes from here on that repeat the one before, at most the length of a copy.
  private static func run(in bytes: [UInt8], at position: Int) -> Int {
    guard position > 0 else { return 0 }
    return bytes[position...].prefix(64).prefix { $0 == bytes[position - 1] }.count
  }

  private static func literals(_ bytes: [UInt8]) -> [UInt8] {
    var encoded: [UInt8] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = rest.prefix(60)
      encoded.append(UInt8(piece.count - 1) << 2)
      encoded += piece
      rest = rest.dropFirst(60)
    }
    return encoded
  }

  private static func copy(count: Int, offset: Int) -> [UInt8] {
    [UInt8(count - 1) << 2 | 2, UInt8(offset & 0xff), UInt8(offset >> 8)]
  }
}
