/// Which tensor initializes which variable: the half of the resolution that TensorFlow does when
/// `init_from_checkpoint` is called, pair by pair in order of the keys; a later match replaces an
/// earlier.
struct Matches {
  /// The tensor that initializes a variable.
  struct Match {
    /// The position of the tensor in the catalog; negative if the variable has no match.
    var tensor: Int32 = -1
    /// The index of the pair that matched.
    var pair: Int32 = -1
    /// Whether the variable is a partition, to be cut out of the tensor.
    var isPartition = false
  }

  /// The target of a pair: one variable, or the partitions of one variable.
  private enum Target {
    case one(Int)
    case list([Int])
  }

  private let pairs: [AssignmentMap.Pair]
  private let store: VariableStore
  private let catalog: Catalog
  /// The full names, if the catalog's names are full names and not the tensors' own.
  private let names: FullNames?
  private let options: Resolution.Options
  private let ends: ScopeEnds
  private var hints: Hints
  /// The match of each declared variable.
  private(set) var matches: [Match]
  /// The missing tensors by variable; empty unless missing tensors are skipped.
  private var skipped: [Int: Name] = [:]
  /// The indexes of pairs that matched no variable, in the map's order.
  private(set) var unused: [Int] = []

  init(
    of map: AssignmentMap, to store: VariableStore, in catalog: Catalog, names: FullNames? = nil,
    _ options: Resolution.Options, _ ends: ScopeEnds
  ) {
    self.ends = ends
    pairs = map.pairs
    self.store = store
    self.catalog = catalog
    self.names = names
    self.options = options
    hints = Hints(catalog, store, ends, areFullNames: names != nil)
    matches = Array(repeating: Match(), count: store.variables.count)
  }

  /// The missing tensor of a variable that has no match; the last one if there were several.
  func lacked(by variable: Int) -> Name? { skipped.isEmpty ? nil : skipped[variable] }

  /// Matches all pairs and adds the errors that TensorFlow would raise to `problems`.
  ///
  /// Throws if the allowance is used up.
  mutating func match(
    _ problems: inout ProblemCollector, _ allowance: inout Allowance
  ) throws(Problem) {
    var keys = NameList()
    for pair in pairs { keys.append(pair.key.bytes.span) }
    let order = NameOrder(keys).indexes
    var place = 0
    while place < order.count {
      var end = place + 1
      while end < order.count, keys.span(order[end]).equals(keys.span(order[place])) { end += 1 }
      // Equal keys come in no order, but are matched in the map's: TensorFlow's sort is stable.
      let equal = end - place == 1 ? order[place..<end] : order[place..<end].sorted()[...]
      for pair in equal { try match(pair, &problems, &allowance) }
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
      } else if ends.isScope(pairs[pair].key) {
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
    if member.variable >= 0 { return .one(Int(member.variable)) }
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
      try lack(key, pair, target, for: nil, &problems, &allowance)
      return
    }
    if case .one(let variable) = target {
      // What is skipped is decided where dtypes are compared before shapes.
      let isAccepted =
        options.contains(.skipMismatched)
        || store.variables.accepts(catalog.shapes.span(tensor), variable)
      guard isAccepted else {
        refuseShape(of: variable, tensor, key: key, &problems)
        return
      }
    }
    try assign(tensor, pair, to: target, &problems, &allowance)
  }

  /// Refuses a tensor of another shape, and its dtype as well if that differs, too.
  private func refuseShape(
    of variable: Int, _ tensor: Int, key: Name, _ problems: inout ProblemCollector
  ) {
    let (declared, name) = (store.variables[variable], catalog.name(tensor))
    let (stored, dtype) = (catalog.shape(tensor), catalog.dtype(tensor))
    let choice = store.variables.choice(variable)
    let hint =
      store.variables.shapeHint(variable, stored, dtype, isPart: false)
      ?? problems.once(options.mismatchHint)
    problems.add(.shapeMismatch(declared, name, stored, choice, hint, key: key))
    guard !store.variables.takes(dtype, variable, areCast: options.contains(.cast)) else { return }
    let castHint = problems.once(options.hint(casting: dtype, to: declared.dtype))
    problems.add(
      Reads.Refusal.dtype(stored: dtype).problem(declared, choice, name, castHint, key: key))
  }

  /// Matches tensors of the key's scope to the variables of the scope that `name` names.
  private mutating func matchScope(
    _ pair: Int, to name: Name, _ problems: inout ProblemCollector, _ allowance: inout Allowance
  ) throws(Problem) {
    let mapping = ScopeMapping(from: pairs[pair].key, to: name, ends)
    let members = store.members(in: mapping.scope, mapping.separator)
    if members.isEmpty { unused.append(pair) }
    let names = store.nameBytes
    var last = -1
    for member in members {
      let name = names.span.extracting(member.name)
      let (prefixByteCount, suffix) = mapping.tensor(for: name)
      let prefix = mapping.prefix.span.extracting(first: prefixByteCount)
      try allowance.spend(Allowance.lookup + prefixByteCount + suffix.count)
      let target = try target(of: member, &allowance)
      guard let tensor = catalog.position(of: prefix, name.extracting(suffix), after: last) else {
        let place = member.name.lowerBound
        let tail = names[place + suffix.lowerBound..<place + suffix.upperBound]
        let tensor = Name(mapping.prefix.prefix(prefixByteCount) + tail)
        try lack(tensor, pair, target, for: member, &problems, &allowance)
        continue
      }
      last = tensor
      switch target {
      case .one(let variable)?:
        matches[variable] = Match(tensor: Int32(tensor), pair: Int32(pair))
      case let target?: try assign(tensor, pair, to: target, &problems, &allowance)
      case nil: refuseParts(of: member, key: pairs[pair].key, &problems)
      }
    }
  }

  private mutating func assign(
    _ tensor: Int, _ pair: Int, to target: Target, _ problems: inout ProblemCollector,
    _ allowance: inout Allowance
  ) throws(Problem) {
    switch target {
    case .one(let variable):
      matches[variable] = Match(tensor: Int32(tensor), pair: Int32(pair))
    case .list(let variables):
      guard let first = variables.first else { return }
      let owner = store.variables.partition(first)?.fullName
      for index in variables {
        try allowance.spend(Allowance.lookup + (owner?.bytes.count ?? 0))
        guard let owner, store.variables.partition(index)?.fullName == owner else {
          problems.add(.slicesDiffer(store.variables[index], owner: owner, key: pairs[pair].key))
          return
        }
        matches[index] = Match(tensor: Int32(tensor), pair: Int32(pair), isPartition: true)
      }
    }
  }

  /// Notes that the checkpoint lacks a tensor: a problem unless missing tensors are skipped.
  ///
  /// A name that stands for several tensors is always a problem.
  private mutating func lack(
    _ tensor: Name, _ pair: Int, _ target: Target?, for member: VariableStore.Member?,
    _ problems: inout ProblemCollector, _ allowance: inout Allowance
  ) throws(Problem) {
    let key = pairs[pair].key
    let keys = names?.keys(of: tensor)
    let variable = member.map { store.name(of: $0) }
    if let keys, keys.count > 1 {
      return problems.add(.ambiguousName(tensor, for: variable, keys, key: key))
    }
    guard options.contains(.skipMissing) else {
      try allowance.spend(Allowance.explanation)
      if let stored = keys?.first {
        let cause = "; it stands for \(stored.inMessage), which the index lacks"
        return problems.add(.tensorNotFound(tensor, for: variable, cause, key: key))
      }
      if let odd = member.flatMap({ store.variableTakenForPartition(of: $0) }) {
        return problems.add(
          .takenForPartition(odd, of: variable ?? tensor, lacking: tensor, key: key))
      }
      return refuse(tensor, pair, for: variable, &problems)
    }
    switch target {
    case .one(let variable)?: skipped[variable] = tensor
    case .list(let variables)?: for variable in variables { skipped[variable] = tensor }
    case nil: if let member { refuseParts(of: member, key: key, &problems) }
    }
  }

  /// Refuses a pair whose tensor is missing, unless the cause was reported before.
  private mutating func refuse(
    _ tensor: Name, _ pair: Int, for variable: Name?, _ problems: inout ProblemCollector
  ) {
    let (key, target) = (pairs[pair].key, pairs[pair].target)
    if problems.repeats(.tensorNotFound, { hints.explains($0, tensor, pair) }) { return }
    // Hints are only made for problems that are described: a request may lack 100,000 tensors.
    guard problems.takesHint() else {
      return problems.add(.tensorNotFound(tensor, for: variable, "", key: key))
    }
    let finding = hints.cause(of: tensor, pair, target, key: key)
    let guess = finding.map { Guess($0.hint) } ?? hints.hint(tensor, key: key)
    let isNew = variable != nil && !guess.isLikely
    let hint = guess.text + (isNew ? problems.once(Resolution.Options.missingHint) : "")
    problems.add(.tensorNotFound(tensor, for: variable, hint, key: key), because: finding?.cause)
  }

  /// Refuses a pair whose target is no variable and whose key is no scope, unless the cause was
  /// reported before.
  private mutating func refuseScope(
    _ pair: Int, named name: Name, _ problems: inout ProblemCollector
  ) {
    let key = pairs[pair].key
    guard store.index(declared: name) == nil else {
      return problems.add(.outsideStore(name, key: key))
    }
    if problems.repeats(.scopeOnly, { hints.explains($0, target: name, key) }) { return }
    let takesHint = problems.takesHint()
    if takesHint, let finding = hints.cause(ofTarget: name, key: key) {
      return problems.add(.noVariable(name, finding.hint, key: key), because: finding.cause)
    }
    let hint = takesHint ? hints.hint(target: name, key: key) : ""
    if takesHint ? hints.isScope(name) : ends.isScope(name) {
      problems.add(.scopeOnly(name, ends, hint, key: key))
    } else {
      problems.add(
        .noVariable(
          name, hint, scopeKey: takesHint && hints.isScope(key: key) ? ends : nil,
          mayBeOutside: store.variables.hasOutsideStore, key: key))
    }
  }

  private func refuseParts(
    of member: VariableStore.Member, key: Name, _ problems: inout ProblemCollector
  ) {
    let owner = store.name(of: member)
    if let odd = store.variableTakenForPartition(of: member) {
      problems.add(.takenForPartition(odd, of: owner, lacking: nil, key: key))
    } else {
      problems.add(.partsLack(owner, key: key))
    }
  }

  /// The problems of pairs that matched no variable; a cause that several share is reported once.
  mutating func refusals(ofUnused pairs: [Int]) -> ProblemCollector {
    var problems = ProblemCollector()
    for pair in pairs { refuseUnused(self.pairs[pair], &problems) }
    return problems
  }

  private mutating func refuseUnused(
    _ pair: AssignmentMap.Pair, _ problems: inout ProblemCollector
  ) {
    let key = pair.key
    guard case .name(let target) = pair.target else {
      return problems.add(
        Problem(.pairUnused, "key \(key.inMessage): its list of variables is empty", key: key))
    }
    if problems.repeats(.pairUnused, { hints.explains($0, target: target, key) }) { return }
    let mapping = ScopeMapping(from: key, to: target, ends)
    let scope = mapping.scope
    var hint = ""
    var cause: Cause?
    if problems.takesHint() {
      if store.hasVariablesOutside(in: scope, mapping.separator) {
        hint = "; its variables are outside the variable store, and must be passed as objects"
      } else if let finding = hints.cause(ofTarget: target, key: key) {
        (hint, cause) = (finding.hint, finding.cause)
      } else {
        hint = hints.hint(target: target, key: key)
      }
    }
    problems.add(.pairUnused(scope, mapping.separator, hint, key: key), because: cause)
  }
}
