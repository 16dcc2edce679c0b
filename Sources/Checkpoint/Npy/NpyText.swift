import WarmstartTensorModel

/// Reads the text of an `.npy` header, word by word.
struct NpyText {
  private let bytes: [UInt8]
  private let base: Int
  private var position = 0

  /// Reads a text that starts at `base` in the file.
  init(_ bytes: [UInt8], at base: Int) {
    self.bytes = bytes
    self.base = base
  }

  /// Makes an error about the next byte.
  func malformed(_ message: String) -> IndexError {
    .malformed(at: base + position, message)
  }

  /// Takes a character if it is the next after spaces.
  ///
  /// - Returns: Whether it is.
  mutating func skip(_ character: Character) -> Bool {
    skipSpaces()
    guard position < bytes.count, bytes[position] == character.asciiValue else { return false }
    position += 1
    return true
  }

  /// Takes a character, which must be the next after spaces.
  mutating func expect(_ character: Character) throws(IndexError) {
    guard skip(character) else { throw unexpected("'\(character)'") }
  }

  /// Checks that only spaces and line ends are left.
  mutating func expectEnd() throws(IndexError) {
    skipSpaces()
    guard position == bytes.count else { throw unexpected("its end") }
  }

  /// Takes a quoted string without escapes.
  mutating func string() throws(IndexError) -> String {
    skipSpaces()
    guard position < bytes.count,
      bytes[position] == UInt8(ascii: "'") || bytes[position] == UInt8(ascii: "\"")
    else { throw unexpected("a string") }
    let start = position + 1
    let quote = bytes[position]
    guard let end = bytes[start...].firstIndex(where: { $0 == quote || $0 == UInt8(ascii: "\\") }),
      bytes[end] == quote
    else { throw unexpected("the end of a string without escapes") }
    position = end + 1
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  /// Takes `True` or `False`.
  mutating func bool() throws(IndexError) -> Bool {
    skipSpaces()
    for (word, value) in [("True", true), ("False", false)]
    where bytes[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return value
    }
    throw unexpected("True or False")
  }

  /// Takes a tuple of integers from 0 on.
  mutating func tuple(limit: Int) throws(IndexError) -> [Int] {
    var integers: [Int] = []
    try expect("(")
    while !skip(")") {
      guard integers.count < limit else { throw unexpected("at most \(limit) axes") }
      integers.append(try integer())
      guard skip(",") else {
        // Without a comma, one number in parentheses is no tuple.
        guard integers.count > 1 else { throw unexpected("','") }
        try expect(")")
        break
      }
    }
    return integers
  }

  private mutating func integer() throws(IndexError) -> Int {
    skipSpaces()
    let digits = bytes[position...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard let integer = Int(String(decoding: digits, as: UTF8.self)) else {
      throw unexpected("an integer from 0 to 2^63 - 1")
    }
    position = digits.endIndex
    // Python 2 wrote long integers with an L.
    if position < bytes.count, bytes[position] == UInt8(ascii: "L") { position += 1 }
    return integer
  }

  private mutating func skipSpaces() {
    while position < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[position]) {
      position += 1
    }
  }

  private func unexpected(_ expected: String) -> IndexError {
    guard position < bytes.count else {
      return malformed("has the end of the .npy header, expected \(expected)")
    }
    let found = String(decoding: bytes[position...].prefix(16), as: UTF8.self).printable
    return malformed("has \"\(found)\", expected \(expected)")
  }
}
