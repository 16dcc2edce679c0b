import WarmstartTensorModel

/// Reads JSON as RFC 8259 defines it, and reports the place of a mistake.
struct JSONReader {
  /// A mistake in a text, and its place.
  struct Fault: Error {
    let place: TextPlace
    let message: String
  }

  /// The deepest nesting, which bounds the stack; this command's files nest four deep.
  ///
  /// Chosen, not tuned.
  private static let maximumDepth = 64

  private let bytes: [UInt8]
  private var position = 0

  /// Reads a text that must consist of one value.
  static func read(_ bytes: [UInt8]) throws(Fault) -> JSONValue {
    var reader = JSONReader(bytes: bytes)
    guard !bytes.starts(with: [0xef, 0xbb, 0xbf]) else {
      throw reader.fault(
        "expected a value, not a byte order mark: save the file as UTF-8 without one")
    }
    let value = try reader.value(depth: 0)
    guard reader.next() == nil else {
      throw reader.fault("expected nothing after the value, not \(reader.found)")
    }

    return value
  }

  private init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// Skips blanks and returns the next byte without taking it; nil at the end.
  private mutating func next() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"):
        position += 1
      default: return bytes[position]
      }
    }
    return nil
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private func fault(_ message: String) -> Fault {
    Fault(place: TextPlace(of: position, in: bytes), message: message)
  }

  private mutating func value(depth: Int) throws(Fault) -> JSONValue {
    guard depth < JSONReader.maximumDepth else {
      throw fault("expected at most \(JSONReader.maximumDepth) levels of lists and objects")
    }
    let first = next()
    let offset = position
    let content: JSONValue.Content =
      switch first {
      case UInt8(ascii: "{"): try object(depth: depth + 1)
      case UInt8(ascii: "["): try list(depth: depth + 1)
      case UInt8(ascii: "\""): .text(try string())
      default: .literal(try literal())
      }
    return JSONValue(offset: offset, content: content)
  }

  private mutating func object(depth: Int) throws(Fault) -> JSONValue.Content {
    position += 1
    var fields: [JSONValue.Field] = []
    guard !take("}") else { return .object(fields) }
    repeat {
      guard next() == UInt8(ascii: "\"") else {
        throw fault("expected a key in double quotes, not \(found)")
      }
      let keyOffset = position
      let key = try string()
      guard take(":") else { throw fault("expected ':' after a key, not \(found)") }
      fields.append(JSONValue.Field(key: key, keyOffset: keyOffset, value: try value(depth: depth)))
    } while take(",")
    guard take("}") else { throw fault("expected ',' or '}' in an object, not \(found)") }
    return .object(fields)
  }

  private mutating func list(depth: Int) throws(Fault) -> JSONValue.Content {
    position += 1
    var values: [JSONValue] = []
    guard !take("]") else { return .list(values) }
    repeat { values.append(try value(depth: depth)) } while take(",")
    guard take("]") else { throw fault("expected ',' or ']' in a list, not \(found)") }
    return .list(values)
  }

  /// Reads `true`, `false`, `null` or a number, as text.
  private mutating func literal() throws(Fault) -> String {
    let start = position
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"),
        UInt8(ascii: "."):
        position += 1
        continue
      default: break
      }
      break
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard JSONReader.isNumber(bytes[start..<position]) || ["true", "false", "null"].contains(text)
    else {
      position = start
      throw fault(unexpected(text))
    }
    return text
  }

  /// Returns whether a text is a number, without leading zeros or plus signs.
  ///
  /// A point has digits on both sides. See RFC 8259, section 6.
  private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
    var rest = text
    func takeDigits() -> Int {
      let count = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }.count
      rest = rest.dropFirst(count)
      return count
    }
    if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
    let startsWithZero = rest.first == UInt8(ascii: "0")
    let count = takeDigits()
    guard count == 1 || count > 1 && !startsWithZero else { return false }
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      guard takeDigits() > 0 else { return false }
    }
    if let exponent = rest.first, exponent | 0x20 == UInt8(ascii: "e") {
      rest = rest.dropFirst()
      if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
        rest = rest.dropFirst()
      }
      guard takeDigits() > 0 else { return false }
    }
    return rest.isEmpty
  }

  /// Returns the message about a word, or about a byte that begins none, in place of a value.
  private func unexpected(_ word: String) -> String {
    let python = ["True": "true", "False": "false", "None": "null"]
    if let meant = python[word] { return "expected a value, not \(word); did you mean \(meant)?" }
    if position < bytes.count, bytes[position] == UInt8(ascii: "'") {
      return "expected a value; strings have double quotes"
    }
    return "expected a value, not \(word.isEmpty ? found : word)"
  }

  /// The most characters of a word that a message shows; chosen, not tuned.
  private static let shownCount = 40

  /// What stands at the position, for a message: a word, a string, or another character.
  private var found: String {
    guard position < bytes.count else { return "the end of the file" }
    if bytes[position] == UInt8(ascii: "\"") { return "a string" }
    let rest = String(decoding: bytes[position...].prefix(4 * Self.shownCount), as: UTF8.self)
    let word = rest.prefix { $0.isLetter || $0.isNumber || "+-._".contains($0) }
    guard !word.isEmpty else { return "'\(String(rest.prefix(1)).printable)'" }
    return String(word.prefix(Self.shownCount))
  }

  private mutating func string() throws(Fault) -> String {
    position += 1
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw fault("expected a string of UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): text += try escaped()
      case 0..<0x20: throw fault("expected a string without control characters")
      default: text.append(byte)
      }
    }
    throw fault("expected the end of a string")
  }

  /// Returns the UTF-8 bytes of the escape after a backslash.
  private mutating func escaped() throws(Fault) -> [UInt8] {
    guard position < bytes.count else { throw fault("expected the end of a string") }
    let letter = bytes[position]
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
    case UInt8(ascii: "b"): return [8]
    case UInt8(ascii: "f"): return [12]
    case UInt8(ascii: "n"): return [10]
    case UInt8(ascii: "r"): return [13]
    case UInt8(ascii: "t"): return [9]
    case UInt8(ascii: "u"): return try escapedScalar()
    default: throw fault("expected one of JSON's escapes after the backslash")
    }
  }

  /// Returns the character of four digits, or of two surrogates.
  private mutating func escapedScalar() throws(Fault) -> [UInt8] {
    var value = try digits()
    if 0xd800..<0xdc00 ~= value, position + 1 < bytes.count,
      bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
    {
      position += 2
      let low = try digits()
      guard 0xdc00..<0xe000 ~= low else { throw fault("expected the second half of a character") }
      value = 0x10000 + (value - 0xd800) << 10 + (low - 0xdc00)
    }
    guard let scalar = Unicode.Scalar(value) else { throw fault("expected a whole character") }
    return Array(Character(scalar).utf8)
  }

  private mutating func digits() throws(Fault) -> UInt32 {
    let run = bytes[position..<min(position + 4, bytes.count)]
    guard run.count == 4, !run.contains(UInt8(ascii: "+")), !run.contains(UInt8(ascii: "-")),
      let value = UInt32(String(decoding: run, as: UTF8.self), radix: 16)
    else { throw fault("expected four hexadecimal digits") }
    position += 4
    return value
  }
}
