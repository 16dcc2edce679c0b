/// The characters that end the name of a scope: always `/`, and the separator of the checkpoint's
/// format, such as `.`.
struct ScopeEnds {
  static let slash = UInt8(ascii: "/")

  let separator: UInt8

  /// The character at a name's end that makes it a scope's; nil for the name of a tensor.
  func end(of name: Name) -> UInt8? {
    guard let last = name.bytes.last, last == Self.slash || last == separator else { return nil }
    return last
  }

  /// Whether a name is a scope's.
  func isScope(_ name: Name) -> Bool { end(of: name) != nil }

  /// The name as a scope's: with the separator at its end.
  func scope(_ name: Name) -> Name { isScope(name) ? name : Name(name.bytes + [separator]) }

  /// Whether a name is all tensors or all variables: only the end of a scope's name.
  func isRoot(_ name: Name) -> Bool { name.bytes.count == 1 && end(of: name) != nil }
}

extension ScopeEnds: CustomStringConvertible {
  /// The characters in words, for messages.
  var description: String {
    separator == Self.slash ? "'/'" : "'\(Name([separator]))' or '/'"
  }
}

/// The mapping of a scope of the checkpoint to a scope of variables, exactly as TensorFlow does it.
///
/// Where TensorFlow has a slash, either name may have the separator of the checkpoint's format.
struct ScopeMapping {
  /// The scope of variables without its slash or separator; empty for all variables.
  let scope: Name
  /// The character that divides the names of variables in the scope.
  let separator: UInt8
  /// The beginning of the tensors' names: the key, or nothing for the root.
  let prefix: ArraySlice<UInt8>
  /// Whether the variable's name follows the key whole: no slash to drop.
  private let isWhole: Bool

  init(from key: Name, to name: Name, _ ends: ScopeEnds) {
    prefix = ends.isRoot(key) ? [] : key.bytes
    isWhole = ends.isRoot(name)
    separator = ends.end(of: name) ?? ScopeEnds.slash
    let end = name.bytes.lastIndex(of: separator) ?? name.bytes.startIndex
    scope = Name(name.bytes[..<end])
  }

  /// The tensor for a member of the scope, in two parts: a beginning of the prefix, and a range of
  /// the member's name.
  ///
  /// Like TensorFlow, drops one character after the scope even if it is no slash. If the map has
  /// `n` instead of `n/`, the scope is empty, and names lose their first character.
  func tensor(for member: Span<UInt8>) -> (prefixByteCount: Int, suffix: Range<Int>) {
    let slash = ScopeEnds.slash
    var start = min(scope.bytes.count, member.count)
    var end = member.count
    if !isWhole { start += member.extracting(droppingFirst: start).firstCharacterByteCount }
    var prefixByteCount = prefix.count
    if start < end {
      if member[end - 1] == slash { end -= 1 }
    } else if prefix.last == slash {
      prefixByteCount -= 1
    }
    return (prefixByteCount, start..<end)
  }
}

extension Span<UInt8> {
  /// The bytes of the first character as Python counts characters: a code point, or a byte that is
  /// none.
  fileprivate var firstCharacterByteCount: Int {
    guard !isEmpty else { return 0 }
    if self[0] < 0x80 { return 1 }
    var decoder = UTF8()
    var iterator = (0..<Swift.min(4, count)).map { self[$0] }.makeIterator()
    guard case .scalarValue(let scalar) = decoder.decode(&iterator) else { return 1 }
    return UTF8.width(scalar)
  }
}
