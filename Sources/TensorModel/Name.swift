/// A tensor's, variable's or scope's name: bytes, compared and ordered as bytes.
///
/// TensorFlow compares names as byte strings, so two spellings of one accented letter are two names
/// here too; `String` would call them equal. Names of one request or checkpoint share one buffer.
public struct Name: Sendable, Hashable, Comparable, ExpressibleByStringLiteral {
  /// The name as it is in the file or request; not necessarily UTF-8, and it may hold NUL bytes.
  public let bytes: ArraySlice<UInt8>

  /// Makes a name of bytes.
  public init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
  }

  /// Makes a name of a string's UTF-8.
  public init(_ string: some StringProtocol) {
    bytes = ArraySlice(string.utf8)
  }

  /// Makes a value of a literal.
  public init(stringLiteral value: String) {
    self.init(value)
  }

  /// Compares bytes.
  public static func == (left: Name, right: Name) -> Bool {
    left.bytes.span.equals(right.bytes.span)
  }

  /// Orders by bytes.
  public static func < (left: Name, right: Name) -> Bool {
    left.bytes.span.precedes(right.bytes.span)
  }

  /// Hashes bytes.
  public func hash(into hasher: inout Hasher) {
    let name = bytes.span
    for offset in stride(from: 0, to: name.count, by: 8) { hasher.combine(name.word(at: offset)) }
    hasher.combine(name.count)
  }
}

extension Name: CustomStringConvertible {
  /// The name for people: invalid UTF-8 replaced and unprintable characters escaped, never cut.
  public var description: String { String(decoding: bytes, as: UTF8.self).printable }
}
