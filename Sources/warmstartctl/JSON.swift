import WarmstartTensorModel

/// A value of the command's output for scripts: one line, its keys in the order of the fields.
indirect enum JSON {
  /// A number, `true`, `false` or `null`, as text.
  case literal(String)
  case text(String)
  case list([JSON])
  case object([(key: String, value: JSON)])

  static func number(_ value: some BinaryInteger) -> JSON { .literal(String(value)) }

  static func bool(_ value: Bool) -> JSON { .literal(value ? "true" : "false") }

  static var null: JSON { .literal("null") }

  static func numbers(_ values: some Sequence<Int>) -> JSON { .list(values.map { .number($0) }) }

  /// Makes a value from a name; U+FFFD replaces bytes that are not UTF-8, because JSON has none.
  static func name(_ name: Name) -> JSON { .text(String(decoding: name.bytes, as: UTF8.self)) }

  /// The value, followed by a newline.
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

  /// Writes a string; escapes every unprintable character, although JSON requires it of few.
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
        // A character beyond U+FFFF has two units.
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
