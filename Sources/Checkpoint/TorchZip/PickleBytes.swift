/// Reads the instructions of a pickle and their operands, from the first byte to the last.
struct PickleBytes {
  let bytes: [UInt8]
  /// Where the pickle starts in the file.
  let base: Int
  /// How many bytes were read.
  private(set) var position = 0

  /// Reads from the bytes of a pickle, which start at `base` in the file.
  init(_ bytes: [UInt8], at base: Int) {
    self.bytes = bytes
    self.base = base
  }

  /// Makes an error about what was read last.
  func malformed(_ message: String) -> IndexError {
    .malformed(at: base + position, message)
  }

  /// Reads the next instruction.
  mutating func opcode() throws(IndexError) -> PickleOpcode {
    let byte = bytes[try take(1).lowerBound]
    guard let opcode = PickleOpcode(rawValue: byte) else {
      throw malformed(
        "has the pickle's instruction 0x\(String(byte, radix: 16)), "
          + "expected one of the protocols 2 to 5")
    }
    return opcode
  }

  /// Reads an unsigned little-endian number.
  mutating func number(byteCount: Int) throws(IndexError) -> UInt64 {
    var number: UInt64 = 0
    for index in try take(byteCount).reversed() { number = number << 8 | UInt64(bytes[index]) }
    return number
  }

  /// Reads a signed little-endian number of any length; nil if it does not fit in an `Int`.
  mutating func integer(byteCount: UInt64) throws(IndexError) -> Int? {
    let range = try take(byteCount)
    guard range.count <= 8 else { return nil }
    var number: Int64 = 0
    for index in range.reversed() { number = number << 8 | Int64(bytes[index]) }
    let unused = 64 - range.count * 8
    return range.isEmpty ? 0 : Int((number << unused) >> unused)
  }

  /// Reads a length of `lengthByteCount` bytes and as many bytes as it says.
  mutating func counted(lengthByteCount: Int) throws(IndexError) -> Range<Int> {
    try take(number(byteCount: lengthByteCount))
  }

  /// Reads a line of text without its end.
  mutating func line() throws(IndexError) -> Range<Int> {
    guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else {
      throw malformed("has the end of the pickle in a line of text, expected the line's end")
    }
    defer { position = end + 1 }
    return position..<end
  }

  private mutating func take(_ count: UInt64) throws(IndexError) -> Range<Int> {
    guard count <= UInt64(bytes.count - position) else {
      throw malformed(
        "has \(bytes.count - position) bytes of the pickle left, expected \(count) more")
    }
    let start = position
    position += Int(count)
    return start..<position
  }

  private mutating func take(_ count: Int) throws(IndexError) -> Range<Int> {
    try take(UInt64(count))
  }
}
