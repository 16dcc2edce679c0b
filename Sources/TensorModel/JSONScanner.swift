/// What is wrong with a JSON text, and where; or why it is not read on.
package struct JSONError: Error {
  /// The offset in the text.
  package let offset: Int
  /// What the text has there and what was expected, as the end of a sentence.
  package let words: String
  /// The problem that `checkIn` threw; nil if something is wrong with the text.
  package let stop: Problem?

  init(offset: Int, _ words: String, stop: Problem? = nil) {
    self.offset = offset
    self.words = words
    self.stop = stop
  }
}

/// Reads JSON text from its front, as strictly as RFC 8259 and with a limit to its depth.
///
/// The caller asks for what it expects, value by value, so that no tree of a large header is ever
/// in memory.
package struct JSONScanner {
  /// A string of the text, between its quotation marks.
  package struct Text: Sendable {
    /// Where the string lies in the scanner's bytes.
    package let range: Range<Int>
    /// Whether the string has escapes, so that its bytes are not those of the range.
    package let hasEscapes: Bool
  }

  /// The deepest nesting of a value that is skipped, as in the parser of the library safetensors.
  private static let maximumDepth = 128
  /// The bytes between two calls of `checkIn`: some milliseconds at most; chosen, not tuned.
  package static let bytesBetweenCheckIns = 1 << 16

  /// The text; a range of it is what a `Text` refers to.
  package let bytes: [UInt8]
  /// Where the rest begins that is not read yet.
  package private(set) var offset = 0
  private let checkIn: () throws(Problem) -> Void
  /// The offset at which `checkIn` is called again.
  private var checkInOffset = JSONScanner.bytesBetweenCheckIns

  /// Begins at the front of a text.
  ///
  /// - Parameter checkIn: Called now and then, within long values, too; throws if the text need not
  ///   be read on.
  /// - Throws: That the text is not UTF-8, and where.
  package init(
    _ bytes: [UInt8], checkIn: @escaping () throws(Problem) -> Void = {}
  ) throws(JSONError) {
    self.bytes = bytes
    self.checkIn = checkIn
    do throws(UTF8.ValidationError) {
      _ = try UTF8Span(validating: bytes.span)
    } catch {
      throw JSONError(offset: error.byteOffsets.lowerBound, "has bytes that are not UTF-8")
    }
  }

  /// Describes a fault at the scanner's offset: what it has there, in words, and what was expected.
  package func fault(expected: String) -> JSONError {
    let found =
      offset < bytes.count
      ? "has \(Name(bytes[offset..<min(bytes.count, offset + 1)]).inMessage)" : "ends"
    return JSONError(offset: offset, "\(found), expected \(expected)")
  }

  /// Describes a fault of the value that begins at an offset of the text.
  package func fault(at place: Int, _ words: String) -> JSONError {
    JSONError(offset: place, words)
  }

  /// Calls `checkIn` if that is due.
  private mutating func checkInIfDue() throws(JSONError) {
    guard offset >= checkInOffset else { return }
    checkInOffset = offset + Self.bytesBetweenCheckIns
    try checkIn(at: offset)
  }

  private func checkIn(at place: Int) throws(JSONError) {
    do throws(Problem) { try checkIn() } catch {
      throw JSONError(offset: place, "is not read on", stop: error)
    }
  }

  // MARK: Structure

  private mutating func skipSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x09, 0x0a, 0x0d: offset += 1
      default: return
      }
    }
  }

  /// The next byte that is not white space; nil at the end.
  package mutating func peek() -> UInt8? {
    skipSpace()
    return offset < bytes.count ? bytes[offset] : nil
  }

  /// Takes the next byte that is not white space if it is the given one.
  package mutating func take(_ byte: Character) -> Bool {
    guard let wanted = byte.asciiValue, peek() == wanted else { return false }
    offset += 1
    return true
  }

  /// Takes a byte; throws if another one, or none, is next.
  package mutating func expect(_ byte: Character) throws(JSONError) {
    guard take(byte) else { throw fault(expected: "'\(byte)'") }
  }

  /// Whether another element of an array or an object follows, after taking its comma or the end.
  ///
  /// - Parameters:
  ///   - isFirst: Whether no element was taken yet; becomes false.
  ///   - end: The bracket that ends the list.
  package mutating func takeNext(_ isFirst: inout Bool, before end: Character) throws(JSONError)
    -> Bool
  {
    try checkInIfDue()
    if take(end) { return false }
    if isFirst {
      isFirst = false
      return true
    }
    guard take(",") else { throw fault(expected: "',' or '\(end)'") }
    return true
  }

  /// Takes the key of an object's next member and the colon behind it; nil at the object's end.
  package mutating func nextKey(_ isFirst: inout Bool) throws(JSONError) -> Text? {
    guard try takeNext(&isFirst, before: "}") else { return nil }
    let key = try string()
    try expect(":")
    return key
  }

  /// Takes the rest of the text; throws unless it is white space.
  package mutating func finish() throws(JSONError) {
    guard peek() == nil else { throw fault(expected: "the end") }
  }

  // MARK: Strings

  /// Takes a string.
  package mutating func string() throws(JSONError) -> Text {
    guard peek() == UInt8(ascii: "\"") else { throw fault(expected: "a string") }
    offset += 1
    let first = offset
    var hasEscapes = false
    while offset < bytes.count {
      try checkInIfDue()
      let end = min(bytes.count, checkInOffset)
      while offset < end {
        switch bytes[offset] {
        case UInt8(ascii: "\""):
          offset += 1
          return Text(range: first..<offset - 1, hasEscapes: hasEscapes)
        case UInt8(ascii: "\\"):
          hasEscapes = true
          try takeEscape()
        case 0..<0x20: throw fault(expected: "no control character in a string")
        default: offset += 1
        }
      }
    }
    throw fault(expected: "the end of a string")
  }

  /// The bytes of a string that has no `\`, or what its escapes stand for.
  ///
  /// - Throws: What `checkIn` throws.
  package func content(_ text: Text) throws(JSONError) -> [UInt8] {
    guard text.hasEscapes else { return Array(bytes[text.range]) }
    var result: [UInt8] = []
    var place = text.range.lowerBound
    var checkInOffset = place + Self.bytesBetweenCheckIns
    while place < text.range.upperBound {
      if place >= checkInOffset {
        checkInOffset = place + Self.bytesBetweenCheckIns
        try checkIn(at: place)
      }
      guard bytes[place] == UInt8(ascii: "\\") else {
        result.append(bytes[place])
        place += 1
        continue
      }
      let letter = bytes[place + 1]
      place += 2
      switch letter {
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0c)
      case UInt8(ascii: "n"): result.append(0x0a)
      case UInt8(ascii: "r"): result.append(0x0d)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "u"):
        var value = unit(at: place) ?? 0
        place += 4
        if (0xd800..<0xdc00).contains(value) {
          value = 0x10000 + (value - 0xd800) << 10 + ((unit(at: place + 2) ?? 0xdc00) - 0xdc00)
          place += 6
        }
        result += String(Character(Unicode.Scalar(value) ?? "\u{fffd}")).utf8
      default: result.append(letter)
      }
    }
    return result
  }

  /// Whether a string is the given text.
  package func equals(_ text: Text, _ other: StaticString) throws(JSONError) -> Bool {
    let wanted = Array("\(other)".utf8)
    guard text.hasEscapes else { return bytes[text.range].elementsEqual(wanted) }
    // An escape has at most six bytes for one of the text.
    return text.range.count <= 6 * wanted.count ? try content(text) == wanted : false
  }

  /// Checks an escape and goes behind it.
  private mutating func takeEscape() throws(JSONError) {
    let place = offset
    guard offset + 1 < bytes.count else { throw fault(expected: "the end of a string") }
    let letter = bytes[offset + 1]
    offset += 2
    if "\"\\/bfnrt".utf8.contains(letter) { return }
    guard letter == UInt8(ascii: "u"), let unit = unit(at: offset) else {
      throw fault(at: place, "has an escape that JSON does not know")
    }
    offset += 4
    guard (0xd800..<0xe000).contains(unit) else { return }
    guard unit < 0xdc00, offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
      bytes[offset + 1] == UInt8(ascii: "u"), let second = self.unit(at: offset + 2),
      (0xdc00..<0xe000).contains(second)
    else { throw fault(at: place, "has one half of a surrogate pair") }
    offset += 6
  }

  /// The number that four hexadecimal digits spell.
  private func unit(at place: Int) -> UInt32? {
    guard place <= bytes.count - 4 else { return nil }
    var value: UInt32 = 0
    for byte in bytes[place..<place + 4] {
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: return nil
      }
      value = value << 4 | UInt32(digit)
    }
    return value
  }

  // MARK: Numbers and other values

  /// Takes a number without sign, fraction and exponent; throws for others and above 2^63 - 1.
  package mutating func number() throws(JSONError) -> Int {
    guard let first = peek(), isDigit(first) else {
      throw fault(expected: "a whole number that is not negative")
    }
    let place = offset
    var value = 0
    while offset < bytes.count, isDigit(bytes[offset]) {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflows) = product.addingReportingOverflow(Int(bytes[offset] - 0x30))
      guard !overflow, !overflows else {
        throw fault(at: place, "has a number of 2^63 or more, expected less")
      }
      value = sum
      offset += 1
    }
    if first == 0x30, offset - place > 1 {
      throw fault(at: place, "has a number that begins with 0")
    }
    if offset < bytes.count, [UInt8(ascii: "."), 0x65, 0x45].contains(bytes[offset]) {
      throw fault(expected: "a whole number")
    }
    return value
  }

  private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  /// Takes any value, whose meaning is unknown to the caller.
  package mutating func skipValue() throws(JSONError) {
    // The brackets that are open.
    var open: [Bool] = []
    var isFirst = false
    repeat {
      switch peek() {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        guard open.count < Self.maximumDepth else {
          throw fault(expected: "at most \(Self.maximumDepth) open brackets")
        }
        open.append(bytes[offset] == UInt8(ascii: "{"))
        offset += 1
        isFirst = true
      case UInt8(ascii: "\""): _ = try string()
      case UInt8(ascii: "t"): try expect(word: "true")
      case UInt8(ascii: "f"): try expect(word: "false")
      case UInt8(ascii: "n"): try expect(word: "null")
      default: try skipNumber()
      }
      // Behind a value, or an opening bracket: to the next value.
      while let isObject = open.last {
        if isObject {
          if try nextKey(&isFirst) != nil { break }
        } else if try takeNext(&isFirst, before: "]") {
          break
        }
        open.removeLast()
        isFirst = false
      }
    } while !open.isEmpty
  }

  private mutating func expect(word: StaticString) throws(JSONError) {
    let text = Array("\(word)".utf8)
    guard bytes[offset...].starts(with: text) else { throw fault(expected: "'\(word)'") }
    offset += text.count
  }

  /// Takes a number of any kind that JSON has.
  private mutating func skipNumber() throws(JSONError) {
    func digits() throws(JSONError) {
      guard offset < bytes.count, isDigit(bytes[offset]) else { throw fault(expected: "a value") }
      while offset < bytes.count, isDigit(bytes[offset]) {
        offset += 1
        try checkInIfDue()
      }
    }
    func takes(_ bytes: String) -> Bool {
      guard offset < self.bytes.count, bytes.utf8.contains(self.bytes[offset]) else { return false }
      offset += 1
      return true
    }
    _ = takes("-")
    if takes("0") {
      if offset < bytes.count, isDigit(bytes[offset]) { throw fault(expected: "no digit behind 0") }
    } else {
      try digits()
    }
    if takes(".") { try digits() }
    if takes("eE") {
      _ = takes("+-")
      try digits()
    }
  }
}
