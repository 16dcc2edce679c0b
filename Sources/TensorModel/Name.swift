/// The name of a tensor, a variable or a scope: bytes, compared and ordered as bytes.
///
/// TensorFlow compares names as byte strings, so two spellings of one accented letter are two names
/// here too; `String` would call them equal. Names of one request or checkpoint share one buffer.
public struct Name: Sendable, Hashable, Comparable {
  /// The name as it is in the file or request; not necessarily UTF-8, and it may hold NUL bytes.
  ///
  /// The first index need not be 0, because names share buffers.
  public let bytes: ArraySlice<UInt8>

  /// Makes a name from bytes, which it shares with the caller.
  ///
  /// - Parameter bytes: The name; any bytes are valid.
  public init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
  }

  /// Makes a name from the UTF-8 of a string.
  ///
  /// - Parameter string: The name.
  public init(_ string: some StringProtocol) {
    bytes = ArraySlice(string.utf8)
  }

  /// Whether two names have the same bytes.
  ///
  /// - Parameters:
  ///   - left: A name.
  ///   - right: Another name.
  /// - Returns: True if both have the same bytes in the same order.
  public static func == (left: Name, right: Name) -> Bool {
    left.bytes.span.equals(right.bytes.span)
  }

  /// Whether one name precedes another in the order of their bytes.
  ///
  /// - Parameters:
  ///   - left: A name.
  ///   - right: Another name.
  /// - Returns: True if the first byte that differs is less in `left`, or if `left` ends before it.
  public static func < (left: Name, right: Name) -> Bool {
    left.bytes.span.precedes(right.bytes.span)
  }

  /// Hashes the bytes.
  ///
  /// - Parameter hasher: The hasher to add the bytes to.
  public func hash(into hasher: inout Hasher) {
    let name = bytes.span
    for offset in stride(from: 0, to: name.count, by: 8) { hasher.combine(name.word(at: offset)) }
    hasher.combine(name.count)
  }
}

extension Name: ExpressibleByStringInterpolation {
  /// Gathers the bytes of an interpolated string: those of a name as they are, the text of the
  /// rest.
  public struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var bytes: [UInt8] = []

    /// Makes room for the literal parts of a string.
    ///
    /// - Parameters:
    ///   - literalCapacity: The number of bytes in the literal parts.
    ///   - interpolationCount: The number of interpolated values.
    public init(literalCapacity: Int, interpolationCount: Int) {
      bytes.reserveCapacity(literalCapacity + interpolationCount * 8)
    }

    /// Adds a literal part.
    ///
    /// - Parameter literal: The part, whose UTF-8 is added.
    public mutating func appendLiteral(_ literal: String) {
      bytes += literal.utf8
    }

    /// Adds a name, byte by byte.
    ///
    /// - Parameter name: The name, which need not be UTF-8.
    public mutating func appendInterpolation(_ name: Name) {
      bytes += name.bytes
    }

    /// Adds the text of a value, as `String` interpolates it.
    ///
    /// - Parameter value: Any value, such as a number.
    public mutating func appendInterpolation(_ value: some Any) {
      bytes += "\(value)".utf8
    }
  }

  /// Makes a name from a string literal.
  ///
  /// - Parameter value: The literal, whose UTF-8 is the name.
  public init(stringLiteral value: String) {
    self.init(value)
  }

  /// Makes a name from an interpolated string: `"layer_\(number)/kernel"`, `"\(scope)/kernel"`.
  ///
  /// - Parameter stringInterpolation: The bytes of the string.
  public init(stringInterpolation: StringInterpolation) {
    self.init(stringInterpolation.bytes[...])
  }
}

extension Name: CustomStringConvertible {
  /// The name for people: invalid UTF-8 replaced and unprintable characters escaped, never cut.
  public var description: String { String(decoding: bytes, as: UTF8.self).printable }
}
