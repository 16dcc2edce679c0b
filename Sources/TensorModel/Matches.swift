/// Which tensor initializes which variable: the half of the resolution that TensorFlow does when
/// `init_from_checkpoint` is called, pair by pair in order of the keys; a later match replaces an earlier.
struct Matches {
  /// What a variable is to be initialized with.
  struct Match {
    /// Where in the checkpoint the tensor is.
    var tensor: Int
    /// The index of the pair that says so.
    var pair: Int
    /// Whether the variable is a partition, to be cut out of the tensor.
    var isPartition: Bool
  }

  /// What a pair assigns to: one variable as a whole, or partitions of one variable.
  private enum Target {
    case one(Int)
    case list([Int])
  }

  private let pairs: [AssignmentMap.Pair]
  private let store: VariableStore
  private let catalog: Catalog
  private let missing: MissingPolicy
  /// The match of each declared variable.
  private(set) var matches: [Match?]
  /// The tensors that the checkpoint lacks, by variable; only where they may be missing.
  private(set) var skipped: [Int: Name] = [:]
  /// The indexes of pairs that matched no variable, in the map's order.
  private(set) var unused: [Int] = []

  init(
    of map: AssignmentMap, to store: VariableStore, in catalog: Catalog, missing: MissingPolicy
  ) {
    pairs = map.pairs
    self.store = store
    self.catalog = catalog
    self.missing = missing
    matches = Array(repeating: nil, count: store.variables.count)
  }

  /// Matches all pairs and adds what TensorFlow would raise to `problems`; throws if that takes too much.
  mutating func match(
    _ problems: inout ProblemCollector, _ allowance: inout Allowance
  ) throws(Problem) {
    let order = NameOrder(pairs.count) { pairs[$0].key }.indexes
    var place = 0
    while place < order.count {
      var end = place + 1
      while end < order.count, pairs[order[end]].key == pairs[order[place]].key { end += 1 }
      // Equal keys come in no order, but are matched in the map's: TensorFlow's sort is stable.
      for pair in order[place..<end].sorted() { try match(pair, &problems, &allowance) }
      place = end
    }
    unused.sort()
  }

  private mutating func match(
    _ pair: Int, _ problems: inout ProblemCollector, _ allowance: inout Allowance
  ) throws(Problem) {
    switch pairs[pair].target {
    case .variable(let name):
      guard let variable = store.index(declared: name) else { return }
      try matchTensor(pair, to: .one(variable), &problems, &allowance)
    case .variables(let names):
      let list = names.compactMap { store.index(declared: $0) }
      try matchTensor(pair, to: .list(list), &problems, &allowance)
    case .name(let name):
      if let target = try target(named: name, &allowance) {
        try matchTensor(pair, to: target, &problems, &allowance)
      } else if pairs[pair].key.bytes.last == UInt8(ascii: "/") {
        try matchScope(pair, to: name, &problems, &allowance)
      } else {
        refuseScope(pair, named: name, &problems)
      }
    }
  }

  private func target(
    named name: Name, _ allowance: inout Allowance
  ) throws(Problem) -> Target? {
    if let variable = store.index(of: name) { return .one(variable) }
    let parts = try store.parts(of: name, &allowance)
    return parts.isEmpty ? nil : .list(parts)
  }

  private func target(
    of member: VariableStore.Member, _ allowance: inout Allowance
  ) throws(Problem) -> Target? {
    if let variable = member.variable { return .one(variable) }
    let parts = try store.parts(of: member, &allowance)
    return parts.isEmpty ? nil : .list(parts)
  }

  /// Matches the tensor that the key names.
  private mutating func matchTensor(
    _ pair: Int, to target: Target, _ problems: inout ProblemCollector,
    _ allowance: inout Allowance
  ) throws(Problem) {
    if case .list([]) = target { unused.append(pair) }
    let key = pairs[pair].key
    guard let tensor = catalog.position(of: key) else {
      lack(key, pair, target, for: nil, &problems)
      return
    }
    if case .one(let variable) = target {
      let stored = catalog.shape(tensor)
      guard store.variables[variable].shape?.accepts(stored) ?? true else {
        problems.add(.shapeMismatch(store.variables[variable], key, stored, key: key))
        return
      }
    }
    try assign(tensor, pair, to: target, &problems, &allowance)
  }

  /// Matches tensors of the key's scope to the variables of the scope that `name` names.
  private mutating func matchScope(
    _ pair: Int, to name: Name, _ problems: inout ProblemCollector, _ allowance: inout Allowance
  ) throws(Problem) {
    let mapping = ScopeMapping(from: pairs[pair].key, to: name)
    let members = store.members(in: mapping.scope)
    if members.isEmpty { unused.append(pair) }
    var last = -1
    for member in members {
      let (prefix, suffix) = mapping.tensor(for: member.name)
      try allowance.spend(Allowance.lookup + prefix.bytes.count + suffix.bytes.count)
      let target = try target(of: member, &allowance)
      guard let tensor = catalog.position(of: prefix, suffix, after: last) else {
        lack(Name(prefix.bytes + suffix.bytes), pair, target, for: member.name, &problems)
        continue
      }
      last = tensor
      if let target {
        try assign(tensor, pair, to: target, &problems, &allowance)
      } else {
        problems.add(.partsLack(member.name, key: pairs[pair].key))
      }
    }
  }

  private mutating func assign(
    _ tensor: Int, _ pair: Int, to target: Target, _ problems: inout ProblemCollector,
    _ allowance: inout Allowance
  ) throws(Problem) {
    switch target {
    case .one(let variable):
      matches[variable] = Match(tensor: tensor, pair: pair, isPartition: false)
    case .list(let variables):
      guard let first = variables.first else { return }
      let owner = store.variables[first].partition?.fullName
      for index in variables {
        try allowance.spend(Allowance.lookup + (owner?.bytes.count ?? 0))
        guard let owner, store.variables[index].partition?.fullName == owner else {
          problems.add(.slicesDiffer(store.variables[index], owner: owner, key: pairs[pair].key))
          return
        }
        matches[index] = Match(tensor: tensor, pair: pair, isPartition: true)
      }
    }
  }

  /// Notes that the checkpoint lacks a tensor, which is a problem unless tensors may be missing.
  private mutating func lack(
    _ tensor: Name, _ pair: Int, _ target: Target?, for member: Name?,
    _ problems: inout ProblemCollector
  ) {
    let key = pairs[pair].key
    switch (missing, target) {
    case (.fail, _):
      let nearest = problems.suggestion(for: tensor) { nearest in
        for position in 0..<catalog.count { nearest.offer(catalog.name(position)) }
      }
      problems.add(.tensorNotFound(tensor, for: member, nearest, key: key))
    case (.skip, .one(let variable)?): skipped[variable] = tensor
    case (.skip, .list(let variables)?): for variable in variables { skipped[variable] = tensor }
    case (.skip, nil): problems.add(.partsLack(member ?? tensor, key: key))
    }
  }

  private func refuseScope(_ pair: Int, named name: Name, _ problems: inout ProblemCollector) {
    let isDeclared = store.index(declared: name) != nil
    var nearest = ""
    if !isDeclared {
      nearest = problems.suggestion(for: name) { nearest in
        for variable in store.variables where variable.isInStore {
          let bytes = variable.name.bytes
          nearest.offer(Name(bytes[..<(variable.name.partMark ?? bytes.endIndex)]))
        }
      }
    }
    problems.add(.scopeOnly(name, isDeclared: isDeclared, nearest, key: pairs[pair].key))
  }
}

extension Catalog {
  /// Finds a tensor as `position(of:_:)` does, but looks first at the few that follow a position.
  ///
  /// Both a scope's variables and the tensors come in ascending order, so that the next one is most
  /// often close by: then no hash is computed, and memory is read in order.
  fileprivate func position(of first: Name, _ second: Name, after last: Int) -> Int? {
    let nearby = 4
    let (head, tail) = (first.bytes, second.bytes)
    for position in (last + 1)..<max(last + 1, min(last + 1 + nearby, count)) {
      let found = name(position).bytes
      guard found.count == head.count + tail.count else { continue }
      let (foundHead, foundTail) = (found.prefix(head.count), found.suffix(tail.count))
      if Self.isEqual(foundTail.span, tail.span), Self.isEqual(foundHead.span, head.span) {
        return position
      }
    }
    return position(of: first, second)
  }

  /// Whether as many bytes are equal; looks at all, since they mostly are, which is many at a time.
  private static func isEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    var difference: UInt8 = 0
    for index in left.indices { difference |= left[index] ^ right[index] }
    return difference == 0
  }
}
