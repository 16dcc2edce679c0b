/// The names that one side of a map may use: a checkpoint's tensors, or the variables of the store.
///
/// Guesses which of them was meant by a name that is not among them.
struct KnownNames {
  private let names: NameList
  /// The positions in ascending order of the names; nil if the list itself is in that order.
  private let order: [Int]?
  private let ends: ScopeEnds

  /// The most bytes that one search looks at: some 10 ms; chosen, not tuned.
  private static let maximumByteCount = 1 << 24
  /// The most components that a name is searched by; chosen, not tuned.
  private static let maximumComponents = 16

  /// Takes names that come in ascending order.
  init(ascending names: NameList, _ ends: ScopeEnds) {
    self.ends = ends
    self.names = names
    order = nil
  }

  /// Takes the names of the variables in the store, partitions by the names of their variables.
  init(_ variables: VariableList, _ ends: ScopeEnds) {
    self.ends = ends
    var names = NameList()
    for index in 0..<variables.count where variables.isInStore(index) {
      let name = variables.names[index]
      if let mark = name.partMark, name.partNumber(after: mark - name.bytes.startIndex) != nil {
        names.append(Name(name.bytes[..<mark]))
      } else {
        names.append(name)
      }
    }
    self.names = names
    order = NameOrder(names).indexes
  }

  /// Whether a name is known; for a name that ends in a slash, whether a known name begins with it.
  func has(_ name: Name) -> Bool {
    let place = (0..<names.count).firstPosition {
      !bytes($0).span.precedes(name.bytes.span)
    }
    guard place < names.count else { return false }
    let found = bytes(place)
    return ends.isScope(name) ? found.starts(with: name.bytes) : Name(found) == name
  }

  /// The cause that a name, or a scope with its slash, is not found, and the known name that was
  /// meant.
  func cause(of sought: Name) -> (cause: Cause, found: Name)? {
    if let name = sought.withoutOutput, has(name) { return (.output, name) }
    if let name = sought.withFirstOutput, has(name) { return (.outputMissing, name) }
    let dot = UInt8(ascii: ".")
    for (from, to) in [(ScopeEnds.slash, dot), (dot, ScopeEnds.slash)] {
      let cause = Cause.separator(from: from, to: to)
      if let name = cause.correction(of: sought), has(name) { return (cause, name) }
    }
    var start = sought.bytes.startIndex
    for _ in 0..<Self.maximumComponents {
      guard let slash = sought.bytes[start...].firstIndex(of: ends.separator),
        slash + 1 < sought.bytes.endIndex
      else { break }
      start = slash + 1
      let rest = Name(sought.bytes[start...])
      if has(rest) {
        return (.prefix(from: Name(sought.bytes[..<start]), to: Name("")), rest)
      }
    }
    return sought.bytes.isEmpty ? nil : search(sought)
  }

  /// Looks for a name that differs only in case, else for the shortest with another scope in front.
  private func search(_ sought: Name) -> (cause: Cause, found: Name)? {
    var shortest: ArraySlice<UInt8>?
    var isUnique = true
    var left = Self.maximumByteCount
    for place in 0..<names.count {
      let name = bytes(place)
      left -= name.count
      guard left > 0 else { break }
      let alike = ends.isScope(sought) ? name.prefix(sought.bytes.count) : name
      if let cause = sought.prefixOfOtherCase(than: alike, ends.separator) {
        return (cause, Name(alike))
      }
      guard let end = end(of: sought, behindScopeOf: name, &left) else { continue }
      let found = name[..<end]
      if let known = shortest, known.count <= found.count {
        isUnique = isUnique && (known.count < found.count || known == found)
      } else {
        (shortest, isUnique) = (found, true)
      }
    }
    guard let shortest, isUnique else { return nil }
    let prefix = Name(shortest.dropLast(sought.bytes.count))
    return (.prefix(from: Name(""), to: prefix), Name(shortest))
  }

  /// Where the sought name, or scope, ends in a name that has it behind another scope.
  private func end(
    of sought: Name, behindScopeOf name: ArraySlice<UInt8>, _ left: inout Int
  ) -> Int? {
    let count = sought.bytes.count
    guard name.count > count else { return nil }
    if !ends.isScope(sought) {
      guard name[name.endIndex - count - 1] == ends.separator, name.suffix(count) == sought.bytes
      else { return nil }
      return name.endIndex
    }
    var slash = name.firstIndex(of: ends.separator)
    while let place = slash, name.endIndex - place > count {
      let rest = name[(place + 1)...]
      if rest.first == sought.bytes.first {
        left -= count
        guard left > 0 else { return nil }
        if rest.starts(with: sought.bytes) { return place + 1 + count }
      }
      slash = rest.firstIndex(of: ends.separator)
    }
    return nil
  }

  /// Offers all names, or all scopes with their slashes, to a search for the nearest.
  func offer(scopes: Bool, to nearest: inout NearestNames) {
    var last: ArraySlice<UInt8> = []
    for place in 0..<names.count {
      let name = bytes(place)
      guard scopes else {
        nearest.offer(Name(name))
        continue
      }
      // Those that the name before has, too, were offered with it.
      var start = name.startIndex + zip(name, last).prefix { $0 == $1 }.count
      for _ in 0..<Self.maximumComponents {
        guard let slash = name[start...].firstIndex(of: ends.separator) else { break }
        nearest.offer(Name(name[...slash]))
        start = slash + 1
      }
      last = name
    }
  }

  private func bytes(_ place: Int) -> ArraySlice<UInt8> {
    names.bytes[names.range(order?[place] ?? place)]
  }
}

extension Name {
  /// The name without the suffix of an operation's output, as in `w:0`; nil if it has none.
  var withoutOutput: Name? {
    let digits = bytes.reversed().prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    let rest = bytes.dropLast(digits.count)
    guard !digits.isEmpty, rest.last == UInt8(ascii: ":") else { return nil }
    return Name(rest.dropLast())
  }

  /// The name with the suffix of an operation's first output, as in `w:0`; nil for a scope.
  var withFirstOutput: Name? {
    bytes.last == ScopeEnds.slash || bytes.isEmpty ? nil : Name(bytes + Array(":0".utf8))
  }

  /// The cause if another name differs only in the case of ASCII letters: the components up to the
  /// last that differs.
  fileprivate func prefixOfOtherCase(
    than other: ArraySlice<UInt8>, _ separator: UInt8
  ) -> Cause? {
    guard bytes.count == other.count else { return nil }
    var difference: Int?
    for (offset, (mine, others)) in zip(bytes, other).enumerated() where mine != others {
      let letter = mine | 0x20
      guard letter == others | 0x20, letter >= UInt8(ascii: "a"), letter <= UInt8(ascii: "z")
      else { return nil }
      difference = offset
    }
    guard let difference else { return nil }
    let rest = bytes.dropFirst(difference)
    let count =
      difference
      + (rest.firstIndex(of: separator).map { $0 + 1 - rest.startIndex }
        ?? rest.count)
    return .prefix(from: Name(bytes.prefix(count)), to: Name(other.prefix(count)))
  }
}
