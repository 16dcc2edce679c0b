/// A value from a JSON text, and the offset at which it begins there.
struct JSONValue {
  indirect enum Content {
    /// A number, `true`, `false` or `null`, as text.
    case literal(String)
    case text(String)
    case list([JSONValue])
    case object([Field])
  }

  struct Field {
    let key: String
    /// The offset at which the key begins in the text.
    let keyOffset: Int
    let value: JSONValue
  }

  let offset: Int
  let content: Content
}

/// A place in a text as editors show it: lines and columns count from 1, columns in characters.
struct TextPlace: CustomStringConvertible {
  let line: Int
  let column: Int

  /// Finds the place of a byte in a text.
  init(of offset: Int, in text: [UInt8]) {
    let before = text[..<min(offset, text.count)]
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    line = before[..<lineStart].count { $0 == UInt8(ascii: "\n") } + 1
    let isCharacter: (UInt8) -> Bool = { $0 & 0xc0 != 0x80 }
    column = before[lineStart...].count(where: isCharacter) + 1
  }

  var description: String { "\(line):\(column)" }
}
