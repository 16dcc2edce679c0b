/// The declared variables as an assignment map sees them: by name, and by scope in TensorFlow's order.
struct VariableStore {
  /// What a name of the store stands for once `/part_<n>` is cut off: all that a scope mapping sees.
  struct Member {
    /// The name up to its first `/part_`.
    var name: Name
    /// The index of the variable that has this very name, or nil.
    var variable: Int?
    /// Whether longer names were cut to this one.
    var hasParts: Bool
  }

  let variables: [Variable]
  private let names: NameTable
  private let members: [Member]
  /// The whole names that contain `/part_`, ascending.
  private let partNames: [Name]

  /// Makes the store of variables whose names differ; scopes are looked for only if `hasScopes`.
  init(_ variables: [Variable], names: NameTable, hasScopes: Bool) {
    self.variables = variables
    self.names = names
    (members, partNames) = hasScopes ? Self.members(of: variables) : ([], [])
  }

  /// Finds a declared variable, in the store or not.
  func index(declared name: Name) -> Int? { names.index(of: name) }

  /// Finds a variable of the store.
  func index(of name: Name) -> Int? {
    guard let index = names.index(of: name), variables[index].isInStore else { return nil }
    return index
  }

  /// Finds the partitions `<name>/part_0`, `<name>/part_1`, … up to the first that is not in the store.
  func parts(of name: Name, _ allowance: inout Allowance) throws(Problem) -> [Int] {
    var parts: [Int] = []
    while true {
      try allowance.spend(Allowance.lookup + name.bytes.count)
      guard let index = index(of: name.part(parts.count)) else { return parts }
      parts.append(index)
    }
  }

  /// The members that a mapping of the scope has to do with, ascending; of every scope if it is empty.
  ///
  /// A variable is in a scope by its whole name, but seen cut: partitions of the variable `a` are in
  /// the scope `a`, as the member `a`.
  func members(in scope: Name) -> ArraySlice<Member> {
    guard !scope.bytes.isEmpty else { return members[...] }
    let prefix = scope.bytes + [UInt8(ascii: "/")]
    if let cut = scope.partMark {
      let first = Self.place(of: prefix, in: partNames, \.self)
      guard first < partNames.count, partNames[first].bytes.starts(with: prefix) else { return [] }
      let owner = place(of: scope.bytes[..<cut])
      return members[owner...owner]
    }
    var start = place(of: prefix)
    let end = place(of: scope.bytes + [UInt8(ascii: "/") + 1])
    // Names that sort between `a` and `a/`, such as `a-b`, part the member `a` from those behind it.
    let owner = place(of: scope.bytes)
    guard owner < members.count, members[owner].name == scope, members[owner].hasParts else {
      return members[start..<end]
    }
    if owner + 1 == start {
      start = owner
      return members[start..<end]
    }
    return [members[owner]] + members[start..<end]
  }

  private func place(of bytes: ArraySlice<UInt8>) -> Int {
    Self.place(of: bytes, in: members, \.name)
  }

  /// The place of the first element whose name does not precede the bytes.
  private static func place<Element>(
    of bytes: ArraySlice<UInt8>, in elements: [Element], _ name: (Element) -> Name
  ) -> Int {
    var range = 0..<elements.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if name(elements[middle]).bytes.lexicographicallyPrecedes(bytes) {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    return range.lowerBound
  }

  private static func members(of variables: [Variable]) -> ([Member], [Name]) {
    let stored = variables.indices.filter { variables[$0].isInStore }
    var members: [Member] = []
    members.reserveCapacity(stored.count)
    var cut: [Member] = []
    var partNames: [Name] = []
    for place in NameOrder.ascending(stored.map { variables[$0].name }) {
      let name = variables[stored[place]].name
      guard let mark = name.partMark else {
        members.append(Member(name: name, variable: stored[place], hasParts: false))
        continue
      }
      partNames.append(name)
      let owner = Name(name.bytes[..<mark])
      // Cut to one name, they follow each other: what they begin with is the same, `/part_` included.
      if cut.last?.name != owner {
        cut.append(Member(name: owner, variable: nil, hasParts: true))
      }
    }
    return (merge(members, cut), partNames)
  }

  /// Merges ascending members with cut ones, in no order, joining those of one name.
  private static func merge(_ members: [Member], _ cut: [Member]) -> [Member] {
    guard !cut.isEmpty else { return members }
    let all = members + cut
    var merged: [Member] = []
    merged.reserveCapacity(all.count)
    for place in NameOrder.ascending(all.map(\.name)) {
      let member = all[place]
      guard let last = merged.last, last.name == member.name else {
        merged.append(member)
        continue
      }
      merged[merged.count - 1].variable = last.variable ?? member.variable
      merged[merged.count - 1].hasParts = last.hasParts || member.hasParts
    }
    return merged
  }
}

extension Name {
  /// Where `/part_` first occurs, or nil.
  var partMark: Int? {
    // A search by its last byte: from each byte follows how far the end of the mark is at least.
    var end = bytes.startIndex + 5
    while end < bytes.endIndex {
      switch bytes[end] {
      case UInt8(ascii: "_"):
        if bytes[(end - 5)..<end].elementsEqual("/part".utf8) { return end - 5 }
        end += 6
      case UInt8(ascii: "/"): end += 5
      case UInt8(ascii: "p"): end += 4
      case UInt8(ascii: "a"): end += 3
      case UInt8(ascii: "r"): end += 2
      case UInt8(ascii: "t"): end += 1
      default: end += 6
      }
    }
    return nil
  }

  /// The name of the partition of this number: `<name>/part_<number>`.
  func part(_ number: Int) -> Name {
    Name(ArraySlice(Array(bytes) + Array("/part_\(number)".utf8)))
  }
}
