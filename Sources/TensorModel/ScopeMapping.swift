/// How one pair maps a scope of the checkpoint to a scope of variables, to the letter of TensorFlow.
struct ScopeMapping {
  /// The scope of variables without its slash; empty for all variables.
  let scope: Name
  /// What tensors' names begin with: the key, or nothing for the root.
  private let prefix: ArraySlice<UInt8>
  /// Whether the variable's name follows the key whole: no slash to drop.
  private let isWhole: Bool

  init(from key: Name, to name: Name) {
    prefix = key == "/" ? [] : key.bytes
    isWhole = name == "/"
    let slash = name.bytes.lastIndex(of: UInt8(ascii: "/")) ?? name.bytes.startIndex
    scope = Name(name.bytes[..<slash])
  }

  /// The tensor for a member of the scope, in two parts.
  ///
  /// One character is dropped behind the scope even where it is no slash, as when `n` is written for
  /// `n/`: then the scope is empty, and names lose their first character.
  func tensor(for member: Name) -> (prefix: Name, suffix: Name) {
    var suffix = member.bytes.dropFirst(scope.bytes.count)
    if !isWhole { suffix = suffix.dropFirst(Name(suffix).firstCharacterByteCount) }
    var prefix = prefix
    if let last = suffix.last {
      if last == UInt8(ascii: "/") { suffix.removeLast() }
    } else if prefix.last == UInt8(ascii: "/") {
      prefix.removeLast()
    }
    return (Name(prefix), Name(suffix))
  }
}

extension Name {
  /// The bytes of the first character as Python counts characters: a code point, or a byte that is none.
  fileprivate var firstCharacterByteCount: Int {
    guard let first = bytes.first else { return 0 }
    if first < 0x80 { return 1 }
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    guard case .scalarValue(let scalar) = decoder.decode(&iterator) else { return 1 }
    return UTF8.width(scalar)
  }
}
