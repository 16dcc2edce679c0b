// The problems that a map is refused with, in words for the author of a trainer.

extension Problem {
  static func tensorNotFound(
    _ tensor: Name, for variable: Name?, _ nearest: String, key: Name
  ) -> Problem {
    let purpose = variable.map { " for variable \($0.inMessage)" } ?? ""
    return Problem(
      .tensorNotFound,
      "key \(key.inMessage): tensor \(tensor.inMessage)\(purpose) is not found in the checkpoint"
        + nearest,
      key: key, variable: variable, tensor: tensor)
  }

  static func ambiguousName(
    _ name: Name, for variable: Name?, _ keys: some Collection<Name>, key: Name
  ) -> Problem {
    let shown = 8
    let purpose = variable.map { " for variable \($0.inMessage)" } ?? ""
    let list = keys.prefix(shown).map(\.inMessage).joined(separator: ", ")
    let more = keys.count > shown ? " and \(keys.count - shown) more" : ""
    return Problem(
      .ambiguousName,
      "key \(key.inMessage): name \(name.inMessage)\(purpose) stands for \(keys.count) tensors "
        + "that differ: \(list)\(more)",
      key: key, variable: variable, tensor: name)
  }

  /// A key that is no scope, with a target that is one.
  static func scopeOnly(_ name: Name, _ ends: ScopeEnds, _ hint: String, key: Name) -> Problem {
    Problem(
      .scopeOnly,
      "key \(key.inMessage): the target \(name.inMessage) is a scope; a scope key must end in "
        + "\(ends)\(hint)",
      key: key, variable: name)
  }

  /// A key that is no scope, with a target that is neither a variable nor a scope.
  ///
  /// - Parameters:
  ///   - scopeKey: What ends a scope, if the key is one that lacks its end.
  ///   - mayBeOutside: Whether there are variables that only an object can name.
  static func noVariable(
    _ name: Name, _ hint: String, scopeKey: ScopeEnds? = nil, mayBeOutside: Bool = false, key: Name
  ) -> Problem {
    let kind = scopeKey == nil ? "variable" : "variable or scope"
    let outside =
      mayBeOutside ? " (a variable outside the variable store must be passed as an object)" : ""
    let rule = scopeKey.map { "; a scope key must end in \($0)" } ?? ""
    return Problem(
      .scopeOnly,
      "key \(key.inMessage): no \(kind) is named \(name.inMessage)\(outside)\(rule)\(hint)",
      key: key, variable: name)
  }

  /// The same, where the variable exists outside the store.
  static func outsideStore(_ name: Name, key: Name) -> Problem {
    Problem(
      .scopeOnly,
      "key \(key.inMessage): variable \(name.inMessage) is outside the variable store and must be "
        + "passed as an object",
      key: key, variable: name)
  }

  static func pairUnused(
    _ scope: Name, _ separator: UInt8, _ hint: String, key: Name
  ) -> Problem {
    let whole = Name(scope.bytes + [separator])
    let fault =
      scope.bytes.isEmpty
      ? "no variable is in the variable store" : "no variable is in scope \(whole.inMessage)"
    return Problem(
      .pairUnused, "key \(key.inMessage): \(fault)\(hint)", key: key,
      variable: scope.bytes.isEmpty ? nil : whole)
  }

  static func shapeMismatch(
    _ variable: Variable, _ tensor: Name, _ stored: Shape, _ choice: String, _ hint: String,
    key: Name
  ) -> Problem {
    Problem(
      .shapeMismatch,
      "key \(key.inMessage): shape \(variable.shape?.inMessage ?? "?") of variable "
        + "\(variable.name.inMessage) doesn't match shape \(stored.inMessage) of tensor "
        + tensor.inMessage + choice + hint,
      key: key, variable: variable.name, tensor: tensor)
  }

  static func slicesDiffer(_ variable: Variable, owner: Name?, key: Name) -> Problem {
    let name = variable.name.inMessage
    let fault =
      if let owner, let other = variable.partition?.fullName {
        "slices must all be from the same tensor: \(owner.inMessage) != \(other.inMessage)"
      } else {
        "variable \(name) is taken for one of several partitions, but declares none: expected its "
          + "full name and slice"
      }
    return Problem(
      .slicesDiffer, "key \(key.inMessage): \(fault)", key: key, variable: variable.name)
  }

  /// A variable whose name contains `/part_`, in the mapping of a scope.
  static func takenForPartition(
    _ variable: Name, of owner: Name, lacking tensor: Name?, key: Name
  ) -> Problem {
    let lack = tensor.map { ", and tensor \($0.inMessage) is not found in the checkpoint" } ?? ""
    return Problem(
      tensor == nil ? .invalidRequest : .tensorNotFound,
      "key \(key.inMessage): variable \(variable.inMessage) is taken for a partition of "
        + "\(owner.inMessage), as is every name with /part_ where a scope is mapped\(lack); "
        + "assign it by a pair of its own",
      key: key, variable: variable, tensor: tensor)
  }

  /// A name `<name>/part_…` in the store that has neither `<name>` nor `<name>/part_0` beside it.
  static func partsLack(_ name: Name, key: Name) -> Problem {
    Problem(
      .invalidRequest,
      "key \(key.inMessage): names beginning \(name.inMessage)/part_ are taken for partitions, "
        + "but neither variable \(name.inMessage) nor \(name.inMessage)/part_0 is declared",
      key: key, variable: name)
  }
}

extension Resolution.Options {
  /// The end of a message about a shape that differs, where missing tensors are skipped: the model
  /// probably has a new head.
  ///
  /// Options are named by their words, which each client spells in its own way.
  var mismatchHint: String {
    contains(.skipMissing)
      ? "; tensors of another shape are skipped with the option 'skip mismatched'" : ""
  }

  /// The end of a message about a tensor that the checkpoint probably never had.
  static let missingHint =
    "; a new variable is skipped with the option 'skip missing'"

  /// The end of a message about a type that differs.
  func hint(casting stored: DataType, to dtype: DataType) -> String {
    if stored.isCast(to: dtype) {
      return "; numbers are cast to their variable's dtype with the option 'cast'"
    }
    guard contains(.cast) else { return "" }
    return "; numbers are cast only between "
      + DataType.castable.map(\.name).joined(separator: ", ")
  }
}

extension VariableList {
  /// The end of a message about a tensor that has the variable's shape but for the order of the
  /// axes, or the shape of the whole variable whose part this one is; nil for another tensor, and if
  /// there are several such orders.
  ///
  /// - Parameter isPart: Whether the variable is to be a slice of the tensor.
  func shapeHint(
    _ position: Int, _ stored: Shape, _ dtype: DataType, isPart: Bool
  ) -> String? {
    guard gathers[position] == nil, axes[position] == nil else { return nil }
    let partition = partition(position)
    if !isPart, let partition, partition.fullShape == stored {
      return "; it is a part of \(partition.fullName.inMessage): assign that, and each part is its "
        + "slice of the tensor"
    }
    guard dtype.byteCount != nil, let wanted = isPart ? partition?.fullShape : shape(position),
      let order = View.order(from: stored, to: wanted)
    else { return nil }
    return "; with the option 'transpose' and axes \(View.inMessage(order)) it fits"
  }
}
