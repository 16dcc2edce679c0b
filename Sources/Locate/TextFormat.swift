/// Parses a `CheckpointState` in protobuf's text format.
///
/// Accepts and refuses what TensorFlow does, which uses protobuf for Python. It accepts comments,
/// both kinds of quotes, adjacent strings, escapes, lists, and `;` or `,` after a field; of a
/// singular field that occurs twice, the last counts. It refuses unknown fields, missing colons and
/// byte order marks.
package struct TextFormat {
  /// A fault in a text: the offset of a byte, and what was expected there.
  package struct Refusal: Error {
    package let offset: Int
    package let expected: String
  }

  /// The fields of the message.
  private enum Field: String, CaseIterable {
    case path = "model_checkpoint_path"
    case allPaths = "all_model_checkpoint_paths"
    case allTimestamps = "all_model_checkpoint_timestamps"
    case preservedTimestamp = "last_preserved_timestamp"

    var isRepeated: Bool { self == .allPaths || self == .allTimestamps }
    var isText: Bool { self == .path || self == .allPaths }
  }

  private let bytes: [UInt8]
  private var position = 0

  /// The value of `model_checkpoint_path`; empty if the text has none.
  package static func modelCheckpointPath(in bytes: [UInt8]) throws(Refusal) -> String {
    do {
      _ = try UTF8Span(validating: bytes.span)
    } catch {
      throw Refusal(offset: error.byteOffsets.lowerBound, expected: "UTF-8")
    }
    var reader = TextFormat(bytes: bytes)
    return try reader.message()
  }

  private init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  // MARK: Fields

  private mutating func message() throws(Refusal) -> String {
    var path = ""
    skipSpace()
    while position < bytes.count {
      let field = try field()
      try require(":", "':'")
      if field.isRepeated, take("[") {
        try list(of: field)
      } else if field == .path {
        path = try string()
      } else {
        try value(of: field)
      }
      if !take(",") { _ = take(";") }
    }
    return path
  }

  private mutating func field() throws(Refusal) -> Field {
    let start = position
    let name = word { $0.isLetter }
    guard !name.isEmpty else { throw Refusal(offset: start, expected: "a field's name") }
    guard let field = Field(rawValue: name) else {
      let known = Field.allCases.map(\.rawValue).joined(separator: ", ")
      throw Refusal(offset: start, expected: "one of \(known)")
    }
    return field
  }

  private mutating func list(of field: Field) throws(Refusal) {
    if take("]") { return }
    repeat {
      try value(of: field)
      if take("]") { return }
    } while take(",")
    throw Refusal(offset: position, expected: "',' or ']'")
  }

  private mutating func value(of field: Field) throws(Refusal) {
    if field.isText {
      _ = try string()
    } else {
      try number()
    }
  }

  private mutating func number() throws(Refusal) {
    let start = position
    // To protobuf for Python, a digit of another script is a whole number.
    if let scalar = scalar(), !scalar.isASCII, scalar.properties.generalCategory == .decimalNumber {
      position += UTF8.width(scalar)
      return skipSpace()
    }
    let text = word { $0.isLetter || $0.isDigit || $0 == "+" || $0 == "-" || $0 == "." }
    guard TextNumber.isValid(text) else { throw Refusal(offset: start, expected: "a number") }
  }

  // MARK: Strings

  private mutating func string() throws(Refusal) -> String {
    let start = position
    var value: [UInt8] = []
    guard try literal(into: &value) else { throw Refusal(offset: start, expected: "a string") }
    while try literal(into: &value) {}
    guard let text = String(validating: value, as: UTF8.self) else {
      throw Refusal(offset: start, expected: "a string of UTF-8")
    }
    return text
  }

  private mutating func literal(into value: inout [UInt8]) throws(Refusal) -> Bool {
    guard let quote = peek(), quote == "\"" || quote == "'" else { return false }
    position += 1
    while let next = peek(), next != "\n" {
      position += 1
      if next == quote {
        skipSpace()
        return true
      }
      if next == "\\" {
        try escape(into: &value)
      } else {
        value.append(UInt8(next.value))
      }
    }
    throw Refusal(offset: position, expected: "a closing \(quote)")
  }

  /// Reads the rest of an escape after its backslash.
  ///
  /// Unknown escapes are literal.
  private mutating func escape(into value: inout [UInt8]) throws(Refusal) {
    let start = position - 1
    guard let letter = peek(), letter != "\n" else {
      throw Refusal(offset: start, expected: "an escape")
    }
    if letter.isOctal {
      let code = code(radix: 8, atMost: 3)
      guard let byte = UInt8(exactly: code.value) else {
        throw Refusal(offset: start, expected: "an octal escape of at most 377")
      }
      return value.append(byte)
    }
    position += 1
    if letter == "x" {
      let code = code(radix: 16, atMost: 2)
      guard code.count > 0 else { throw Refusal(offset: start, expected: "hex digits after \\x") }
      value.append(UInt8(code.value))
    } else if letter == "u" || letter == "U" {
      let wanted = letter == "u" ? 4 : 8
      let code = code(radix: 16, atMost: wanted)
      guard code.count == wanted, let scalar = UnicodeScalar(code.value) else {
        throw Refusal(offset: start, expected: "a character's \(wanted) hex digits")
      }
      value.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    } else if letter == "N" {
      value.append(try named(start))
    } else if let meaning = Self.escapes[letter] {
      value.append(meaning)
    } else {
      value.append(UInt8(ascii: "\\"))
      value.append(UInt8(letter.value))
    }
  }

  /// Reads the name of a character in braces, as a byte of Latin-1.
  ///
  /// Control characters have no names, only aliases; TensorFlow knows them, this parser does not.
  private mutating func named(_ start: Int) throws(Refusal) -> UInt8 {
    let hasBrace = takeByte("{")
    let nameStart = position
    while let next = peek(), next.isLetter || next.isDigit || next == " " || next == "-" {
      position += 1
    }
    let name = String(decoding: bytes[nameStart..<position], as: UTF8.self).uppercased()
    let byte = (0...UInt8.max).first { UnicodeScalar($0).properties.name == name }
    guard hasBrace, takeByte("}"), let byte else {
      throw Refusal(offset: start, expected: "the name of a character in braces")
    }
    return byte
  }

  private static let escapes: [UnicodeScalar: UInt8] = [
    "a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13,
    "\\": UInt8(ascii: "\\"), "'": UInt8(ascii: "'"), "\"": UInt8(ascii: "\""),
  ]

  private mutating func code(radix: Int, atMost limit: Int) -> (value: UInt32, count: Int) {
    var value: UInt32 = 0
    var count = 0
    while count < limit, let digit = peek().flatMap({ Character($0).hexDigitValue }), digit < radix
    {
      value = value << (radix == 8 ? 3 : 4) | UInt32(digit)
      count += 1
      position += 1
    }
    return (value, count)
  }

  // MARK: Words

  /// The next byte as a scalar of the same number.
  ///
  /// It is compared with ASCII only.
  private func peek() -> UnicodeScalar? {
    position < bytes.count ? UnicodeScalar(bytes[position]) : nil
  }

  /// The next character.
  private func scalar() -> UnicodeScalar? {
    // The text is valid UTF-8, so four bytes begin with a whole character.
    String(decoding: bytes[position...].prefix(4), as: UTF8.self).unicodeScalars.first
  }

  private mutating func takeByte(_ mark: UnicodeScalar) -> Bool {
    guard peek() == mark else { return false }
    position += 1
    return true
  }

  private mutating func take(_ mark: UnicodeScalar) -> Bool {
    guard takeByte(mark) else { return false }
    skipSpace()
    return true
  }

  private mutating func require(_ mark: UnicodeScalar, _ expected: String) throws(Refusal) {
    guard take(mark) else { throw Refusal(offset: position, expected: expected) }
  }

  /// Reads a word as protobuf's tokenizer cuts it, if its first character may start one.
  private mutating func word(startsWith isStart: (UnicodeScalar) -> Bool) -> String {
    guard let first = peek(), isStart(first) else { return "" }
    let isDotted = !first.isLetter
    let start = position
    while let next = peek(),
      next.isLetter || next.isDigit || next == "+" || next == "-" || (isDotted && next == ".")
    {
      position += 1
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    skipSpace()
    return text
  }

  /// Skips comments, and what Python considers white space.
  private mutating func skipSpace() {
    while let next = peek() {
      if next == "#" {
        while let comment = peek(), comment != "\n" { position += 1 }
      } else if next == " " || ("\t"..."\r").contains(next) || ("\u{1c}"..."\u{1f}").contains(next)
      {
        position += 1
      } else if !next.isASCII, let space = scalar(), space.properties.isWhitespace {
        position += UTF8.width(space)
      } else {
        return
      }
    }
  }
}

extension UnicodeScalar {
  fileprivate var isLetter: Bool {
    ("a"..."z").contains(self) || ("A"..."Z").contains(self) || self == "_"
  }
  var isDigit: Bool { ("0"..."9").contains(self) }
  fileprivate var isOctal: Bool { ("0"..."7").contains(self) }
}
