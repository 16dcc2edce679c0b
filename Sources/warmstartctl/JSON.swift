import WarmstartTensorModel

/// A value of the command's output for scripts: one line, keys in the order in which they are given.
indirect enum JSON {
  /// A number, `true`, `false` or `null`, as it is written.
  case literal(String)
  case text(String)
  case list([JSON])
  case object([(key: String, value: JSON)])

  static func number(_ value: some BinaryInteger) -> JSON { .literal(String(value)) }

  static var null: JSON { .literal("null") }

  static func numbers(_ values: some Sequence<Int>) -> JSON { .list(values.map { .number($0) }) }

  /// A name; what is not UTF-8 in it is replaced, since JSON has no bytes.
  static func name(_ name: Name) -> JSON { .text(String(decoding: name.bytes, as: UTF8.self)) }

  /// The value and the end of the line.
  var line: String {
    var text = ""
    write(to: &text)
    return text + "\n"
  }

  private func write(to text: inout String) {
    switch self {
    case .literal(let literal): text += literal
    case .text(let string): JSON.write(string, to: &text)
    case .list(let values):
      text += "["
      for (position, value) in values.enumerated() {
        if position > 0 { text += "," }
        value.write(to: &text)
      }
      text += "]"
    case .object(let fields):
      text += "{"
      for (position, field) in fields.enumerated() {
        if position > 0 { text += "," }
        JSON.write(field.key, to: &text)
        text += ":"
        field.value.write(to: &text)
      }
      text += "}"
    }
  }

  /// Writes a string; what is unprintable is escaped, though JSON asks for that of few characters.
  ///
  /// See RFC 8259, section 7.
  private static func write(_ string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      case _ where scalar.isUnprintable:
        // Two if the character is beyond U+FFFF.
        for unit in scalar.utf16 {
          let digits = String(unit, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
