/// The mapping of a scope of the checkpoint to a scope of variables, exactly as TensorFlow does it.
struct ScopeMapping {
  /// The scope of variables without its slash; empty for all variables.
  let scope: Name
  /// The beginning of the tensors' names: the key, or nothing for the root.
  let prefix: ArraySlice<UInt8>
  /// Whether the variable's name follows the key whole: no slash to drop.
  private let isWhole: Bool

  init(from key: Name, to name: Name) {
    prefix = key == "/" ? [] : key.bytes
    isWhole = name == "/"
    let slash = name.bytes.lastIndex(of: UInt8(ascii: "/")) ?? name.bytes.startIndex
    scope = Name(name.bytes[..<slash])
  }

  /// The tensor for a member of the scope, in two parts: a beginning of the prefix, and a range of
  /// the member's name.
  ///
  /// Like TensorFlow, drops one character after the scope even if it is no slash. If the map has
  /// `n` instead of `n/`, the scope is empty, and names lose their first character.
  func tensor(for member: Span<UInt8>) -> (prefixByteCount: Int, suffix: Range<Int>) {
    let slash = UInt8(ascii: "/")
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
