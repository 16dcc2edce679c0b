/// The declared variables for an assignment map: by name, and by scope in TensorFlow's order.
struct VariableStore {
  /// A name of the store without `/part_…`: a variable, the partitions of one, or both.
  ///
  /// Scope mappings see only members.
  struct Member {
    /// Where the name, up to its first `/part_`, is in `nameBytes`.
    var name: Range<Int>
    /// The index of the variable that has this very name; negative if there is none.
    var variable: Int32
    /// The range of this member's partitions in `partNames`.
    var parts: Range<Int32>
  }

  private let names: VariableIndex
  private var members: [Member] = []
  /// The indexes of variables whose names contain `/part_`, ascending by name.
  private var partNames: [Int] = []

  /// Makes the store of variables whose names differ.
  init(_ names: VariableIndex) {
    self.names = names
    if let order = names.order { collect(order.indexes) }
  }

  /// The declared variables.
  var variables: VariableList { names.variables }

  /// The bytes that members' names are ranges of.
  var nameBytes: [UInt8] { variables.names.bytes }

  /// Finds a declared variable, in the store or not.
  func index(declared name: Name) -> Int? { names.index(of: name) }

  /// Finds a variable of the store.
  func index(of name: Name) -> Int? {
    guard let index = names.index(of: name), variables.isInStore(index) else { return nil }
    return index
  }

  /// Finds the partitions `<name>/part_0`, `<name>/part_1`, … up to the first that is not in the
  /// store.
  func parts(of name: Name, _ allowance: inout Allowance) throws(Problem) -> [Int] {
    var parts: [Int] = []
    while true {
      try allowance.spend(Allowance.lookup + name.bytes.count)
      guard let index = index(of: name.part(parts.count)) else { return parts }
      parts.append(index)
    }
  }

  /// Finds the partitions of a member, as `parts(of:)` of its name does.
  func parts(of member: Member, _ allowance: inout Allowance) throws(Problem) -> [Int] {
    try allowance.spend(Allowance.lookup * member.parts.count)
    var parts = [Int](repeating: -1, count: member.parts.count)
    for place in member.parts {
      let index = partNames[Int(place)]
      let name = variables.names[index]
      if let number = name.partNumber(after: member.name.count), number < parts.count {
        parts[number] = index
      }
    }
    return Array(parts.prefix { $0 >= 0 })
  }

  /// The members in a scope, ascending; all members if the scope is empty.
  ///
  /// - Parameter separator: The character that divides the scope from what is in it.
  ///
  /// The whole name decides whether a variable is in a scope: partitions of the variable `a` are in
  /// the scope `a`, as the member `a`.
  func members(
    in scope: Name, _ separator: UInt8 = ScopeEnds.slash
  ) -> ArraySlice<Member> {
    guard !scope.bytes.isEmpty else { return members[...] }
    let names = variables.names
    let prefix = Name(scope.bytes + [separator])
    if let cut = scope.partMark {
      let first = partNames.indices.firstPosition { names[partNames[$0]] >= prefix }
      guard first < partNames.count, names[partNames[first]].bytes.starts(with: prefix.bytes)
      else { return [] }
      let owner = place(of: Name(scope.bytes[..<cut]))
      return members[owner...owner]
    }
    let inside = place(of: prefix)..<place(of: Name(scope.bytes + [separator &+ 1]))
    let owner = place(of: scope)
    guard owner < members.count, name(of: members[owner]) == scope, !members[owner].parts.isEmpty
    else { return members[inside] }
    // Names such as `a-b` sort between `a` and `a/`.
    return owner + 1 == inside.lowerBound
      ? members[owner..<inside.upperBound] : [members[owner]] + members[inside]
  }

  /// A variable that is taken for a partition of a member though its name has no partition's
  /// number.
  ///
  /// An example is `m/part_of_speech/kernel`, which is taken for a partition of `m`. nil if there
  /// is none, or if a variable has the member's name.
  func variableTakenForPartition(of member: Member) -> Name? {
    guard member.variable < 0 else { return nil }
    for place in member.parts {
      let name = variables.names[partNames[Int(place)]]
      if name.partNumber(after: member.name.count) == nil { return name }
    }
    return nil
  }

  /// Whether a scope, or the root if it is empty, has variables outside the store.
  func hasVariablesOutside(in scope: Name, _ separator: UInt8) -> Bool {
    guard variables.hasOutsideStore else { return false }
    let prefix = scope.bytes.isEmpty ? [] : Name(scope.bytes + [separator]).bytes
    return (0..<variables.count).contains {
      !variables.isInStore($0) && variables.names[$0].bytes.starts(with: prefix)
    }
  }

  /// A member's name.
  func name(of member: Member) -> Name { Name(nameBytes[member.name]) }

  private func place(of name: Name) -> Int {
    members.indices.firstPosition { self.name(of: members[$0]) >= name }
  }

  private mutating func collect(_ order: [Int]) {
    let names = variables.names
    members.reserveCapacity(order.count)
    var owners: [Member] = []
    for index in order where variables.isInStore(index) {
      let range = names.range(index)
      guard let mark = names.span(index).partMark else {
        members.append(Member(name: range, variable: Int32(index), parts: 0..<0))
        continue
      }
      let owner = range.lowerBound..<range.lowerBound + mark
      let place = Int32(partNames.count)
      partNames.append(index)
      // Names cut to one follow each other: they begin alike, `/part_` included.
      if let last = owners.last, names.bytes[last.name].span.equals(names.bytes[owner].span) {
        owners[owners.count - 1].parts = last.parts.lowerBound..<place + 1
      } else {
        owners.append(Member(name: owner, variable: -1, parts: place..<place + 1))
      }
    }
    if !owners.isEmpty { merge(owners) }
  }

  /// Puts the owners of partitions among the members, as one with the variable of the same name.
  private mutating func merge(_ owners: [Member]) {
    let all = members + owners
    var names = NameList()
    for member in all { names.append(nameBytes[member.name].span) }
    members.removeAll(keepingCapacity: true)
    for place in NameOrder(names).indexes {
      let member = all[place]
      guard let last = members.last, name(of: last) == names[place] else {
        members.append(member)
        continue
      }
      if last.variable < 0 { members[members.count - 1].variable = member.variable }
      if last.parts.isEmpty { members[members.count - 1].parts = member.parts }
    }
  }
}
