/// Guesses what a map was meant to say where it names a tensor or a variable that does not exist.
///
/// Made only when a map is refused, since sorting the variables' names takes time.
struct Hints {
  private let tensors: KnownNames
  private let catalog: Catalog
  private let store: VariableStore
  /// Whether the catalog's names are full names, not keys.
  private let areFullNames: Bool
  private let ends: ScopeEnds
  private lazy var variables = KnownNames(store.variables, ends)

  init(_ catalog: Catalog, _ store: VariableStore, _ ends: ScopeEnds, areFullNames: Bool) {
    tensors = KnownNames(ascending: catalog.names, ends)
    self.ends = ends
    self.catalog = catalog
    self.store = store
    self.areFullNames = areFullNames
  }

  /// Whether a cause that was reported before also explains that a tensor is not found.
  func explains(_ cause: Cause, _ tensor: Name, _ pair: Int) -> Bool {
    if cause == .slash(pair: pair) || cause == .scope(pair: pair) { return true }
    return cause.correction(of: tensor).map(tensors.has) ?? false
  }

  /// Whether a cause that was reported before also explains that a target is not found.
  mutating func explains(_ cause: Cause, target: Name, _ key: Name) -> Bool {
    if case .swapped = cause { return areSwapped(key, target) }
    return cause.correction(of: target).map { variables.has($0) } ?? false
  }

  /// The cause that the tensor of a pair is not found; nil if none is known.
  func cause(of tensor: Name, _ pair: Int, _ target: AssignmentMap.Target, key: Name) -> Finding? {
    if ends.isScope(key), case .name(let name) = target, let cause = missingSlash(name, pair) {
      return cause
    }
    guard !tensors.has(tensor) else { return nil }
    return tensors.cause(of: tensor).map(Finding.init) ?? missingScope(of: tensor, pair, key)
  }

  /// The cause that a target, a variable or a scope, is not found; nil if none is known.
  mutating func cause(ofTarget target: Name, key: Name) -> Finding? {
    guard !variables.has(target) else { return nil }
    if areSwapped(key, target) { return Finding(.swapped, target) }
    return variables.cause(of: target).map(Finding.init)
  }

  /// The end of a message about a tensor that is not found, where no shared cause is known.
  func hint(_ tensor: Name, key: Name) -> Guess {
    let scope = ends.scope(tensor)
    if ends.isScope(tensor), tensors.has(tensor) {
      return Guess(
        "; \(tensor.inMessage) is a scope of the checkpoint, and its target is a variable")
    }
    let name = tensor.withoutOutput
    let objectHint = objectHint(for: name ?? tensor)
    if !ends.isScope(tensor), tensors.has(scope), objectHint.isEmpty {
      // A tensor that a mapping of scopes asks for was not written by the user.
      guard tensor == key else {
        return Guess("; \(tensor.inMessage) is a scope of the checkpoint, not a tensor")
      }
      return Guess(
        "; \(tensor.inMessage) is a scope of the checkpoint: write \(scope.inMessage), and a "
          + "scope as its target")
    }
    if let hint = numberHint(tensor) { return Guess(hint) }
    let nearest = nearest(to: name ?? tensor)
    return Guess(
      (name == nil ? "" : "; leave out TensorFlow's output suffix") + nearest.text + objectHint,
      isLikely: nearest.isLikely || name != nil || !objectHint.isEmpty)
  }

  private func objectHint(for name: Name) -> String {
    areFullNames ? "" : catalog.objectHint(for: name)
  }

  /// The tensors nearest to a name, or else to the name with the suffix of an output, which Keras 2
  /// writes, or else the checkpoint's only tensor; worded to end a message, or nothing.
  private func nearest(to name: Name) -> Guess {
    for name in [name, name.withFirstOutput].compactMap(\.self) {
      var nearest = NearestNames(to: name, separator: ends.separator)
      tensors.offer(scopes: ends.isScope(name), to: &nearest)
      if !nearest.names.isEmpty {
        return Guess(nearest.suggestion, isLikely: nearest.areAlike)
      }
    }
    guard catalog.count == 1 else { return Guess("", isLikely: false) }
    return Guess("; the checkpoint's only tensor is \(catalog.name(0).inMessage)")
  }

  /// The end of a message about a variable of a layer that Keras wrote; nil for other names.
  ///
  /// Keras 3 numbers the variables of a layer, and writes their names nowhere.
  private func numberHint(_ tensor: Name) -> String? {
    guard let slash = tensor.bytes.lastIndex(of: ScopeEnds.slash),
      tensor.bytes.last.map({ !(0x30...0x39).contains($0) }) == true
    else { return nil }
    let layer = tensor.bytes[...slash]
    let places = areFullNames ? [("", "0")] : [("", "vars/0"), ("layers/", "vars/0")]
    for (before, after) in places {
      let first = Name((Array(before.utf8) + layer + Array(after.utf8))[...])
      guard tensors.has(first) else { continue }
      return
        "; there is \(first.inMessage): Keras's files number the variables of a layer in the order "
        + "in which the layer makes them"
    }
    return nil
  }

  /// Finds that no tensor is in the scope that a key names, which is one mistake for all its
  /// tensors.
  ///
  /// If the scope is known by another cause, so are most of its tensors.
  private func missingScope(of tensor: Name, _ pair: Int, _ key: Name) -> Finding? {
    guard ends.isScope(key), !ends.isRoot(key), !tensors.has(key), tensors.cause(of: key) == nil
    else { return nil }
    var finding = Finding(.scope(pair: pair), key)
    let nearest = NearestNames.suggestion(for: key, separator: ends.separator) {
      tensors.offer(scopes: true, to: &$0)
    }
    finding.hint +=
      nearest.isEmpty ? hint(tensor, key: key).text : nearest + objectHint(for: tensor)
    return finding
  }

  /// Whether a key is no tensor, but a scope that lacks its slash.
  func isScope(key: Name) -> Bool { !tensors.has(key) && tensors.has(ends.scope(key)) }

  /// Whether a target is a scope, with its slash or without.
  mutating func isScope(_ target: Name) -> Bool {
    ends.isScope(target) || variableScope(of: target) != nil
  }

  /// The scope of variables that a target without an end names, with its end; nil if there is none.
  private mutating func variableScope(of target: Name) -> Name? {
    for end in [ends.separator, ScopeEnds.slash] {
      let scope = Name(target.bytes + [end])
      if variables.has(scope) { return scope }
    }
    return nil
  }

  /// The end of a message about a target that is not found, where no shared cause is known.
  mutating func hint(target: Name, key: Name) -> String {
    let keyScope = ends.scope(key)
    if !ends.isScope(target), let scope = variableScope(of: target) {
      let keyHint =
        !ends.isScope(key) && tensors.has(keyScope) ? ", and \(keyScope.inMessage) as its key" : ""
      return "; write \(scope.inMessage)" + keyHint
    }
    if ends.isScope(target), !ends.isScope(key) {
      if tensors.has(keyScope) { return "; write \(keyScope.inMessage) as its key" }
      if variables.has(target) {
        // The target is right. The key may be misspelled, unless it is a tensor.
        guard !tensors.has(key) else { return "" }
        return NearestNames.suggestion(for: keyScope, separator: ends.separator) {
          tensors.offer(scopes: true, to: &$0)
        }
      }
    }
    return NearestNames.suggestion(for: target, separator: ends.separator) {
      variables.offer(scopes: ends.isScope(target), to: &$0)
    }
  }

  private mutating func areSwapped(_ key: Name, _ target: Name) -> Bool {
    !target.bytes.isEmpty && !tensors.has(key) && tensors.has(target) && variables.has(key)
  }

  /// Finds that a target is a scope that lacks its slash.
  private func missingSlash(_ target: Name, _ pair: Int) -> Finding? {
    guard !ends.isScope(target) else { return nil }
    // PyTorch's scopes end in a dot.
    let isDotted = target.bytes.last == UInt8(ascii: ".")
    let scope = isDotted ? Name(target.bytes.dropLast()) : target
    guard !scope.bytes.isEmpty else { return nil }
    for end in [ScopeEnds.slash, ends.separator] where !store.members(in: scope, end).isEmpty {
      return Finding(.slash(pair: pair), Name(scope.bytes + [end]))
    }
    return nil
  }
}

/// What was probably meant, worded to end a message.
struct Guess {
  var text: String
  /// Whether that explains the error; else what was asked for may be new.
  var isLikely: Bool

  init(_ text: String, isLikely: Bool = true) {
    self.text = text
    self.isLikely = isLikely
  }
}

/// A cause, and the end of the message about it.
struct Finding {
  let cause: Cause
  var hint: String

  /// Makes the hint of a name, which is mostly the one that was probably meant.
  init(_ cause: Cause, _ name: Name) {
    self.cause = cause
    hint = cause.hint(name)
  }
}

extension Catalog {
  /// The end of a message about a name that is not found in a TF2 checkpoint, whose keys are paths
  /// of attributes; empty for other checkpoints.
  fileprivate func objectHint(for name: Name) -> String {
    let key = Name(name.bytes + Array("/.ATTRIBUTES/VARIABLE_VALUE".utf8))
    if position(of: key) != nil {
      return "; this checkpoint was saved of objects, and has the key \(key.inMessage)"
    }
    guard position(of: ObjectGraph.key) != nil else { return "" }
    return "; TensorFlow saved objects here: with the option 'object names', the names that the "
      + "variables had are keys"
  }
}
