/// Finds declared variables by name, in the way that costs less for the map.
///
/// Filling a hash table with 100,000 names takes as long as the rest of a resolution. So the table
/// is only made if the map has many names, or if it has no scope: for a scope the names are sorted
/// anyway, and a sorted list is searched.
struct VariableIndex {
  /// The declared variables.
  let variables: VariableList
  /// The order of the variables' names, if scopes may be sought.
  let order: NameOrder?
  private let table: NameTable?

  /// The most names that are sought without a hash table; chosen, not tuned.
  private static let maximumSoughtInOrder = 1000

  /// Makes the index that suits a map.
  init(_ variables: VariableList, for map: AssignmentMap, _ ends: ScopeEnds) {
    self.variables = variables
    let order = map.hasScopes(ends) ? NameOrder(variables.names) : nil
    let isSmall = map.targetCount <= Self.maximumSoughtInOrder
    table = order != nil && isSmall ? nil : NameTable(variables.names)
    self.order = order
  }

  /// The indexes of variables whose name an earlier one has.
  var duplicates: [Int] {
    if let table { return table.duplicates }
    guard let order = order?.indexes, self.order?.hasEqual == true else { return [] }
    var duplicates: [Int] = []
    for (before, after) in zip(order, order.dropFirst())
    where variables.names[before] == variables.names[after] {
      duplicates.append(max(before, after))
    }
    return duplicates.sorted()
  }

  /// The index of the variable of this name, or nil.
  func index(of name: Name) -> Int? {
    let names = variables.names
    if let table { return table.position(of: name.bytes.span, in: names) }
    guard let order = order?.indexes else { return nil }
    let place = order.indices.firstPosition { names[order[$0]] >= name }
    guard place < order.count, names[order[place]] == name else { return nil }
    return order[place]
  }
}

extension AssignmentMap {
  /// Whether a pair may map a scope: its key ends as scopes do and its target is a name.
  fileprivate func hasScopes(_ ends: ScopeEnds) -> Bool {
    pairs.contains { pair in
      guard case .name = pair.target else { return false }
      return ends.end(of: pair.key) != nil
    }
  }

  /// The number of names that the pairs assign to.
  fileprivate var targetCount: Int {
    pairs.reduce(0) { count, pair in
      guard case .variables(let names) = pair.target else { return count + 1 }
      return count + names.count
    }
  }
}
