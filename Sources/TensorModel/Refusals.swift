// What a map is refused with, in the words that a trainer's author reads.

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
      "key \(key.inMessage): name \(name.inMessage)\(purpose) stands for \(keys.count) tensors: "
        + "\(list)\(more)",
      key: key, variable: variable, tensor: name)
  }

  static func scopeOnly(
    _ name: Name, isDeclared: Bool, _ nearest: String, key: Name
  ) -> Problem {
    let cause =
      if name.bytes.last == UInt8(ascii: "/") {
        "the target \(name.inMessage) is a scope"
      } else if isDeclared {
        "variable \(name.inMessage) is outside the variable store and must be passed as an object"
      } else {
        "no variable or scope is named \(name.inMessage) "
          + "(a variable outside the variable store must be passed as an object)"
      }
    return Problem(
      .scopeOnly, "key \(key.inMessage): \(cause); a scope key must end in '/'\(nearest)",
      key: key, variable: name)
  }

  static func shapeMismatch(
    _ variable: Variable, _ tensor: Name, _ stored: Shape, key: Name
  ) -> Problem {
    Problem(
      .shapeMismatch,
      "key \(key.inMessage): shape \(variable.shape?.inMessage ?? "?") of variable "
        + "\(variable.name.inMessage) doesn't match shape \(stored.inMessage) of tensor "
        + tensor.inMessage,
      key: key, variable: variable.name, tensor: tensor)
  }

  static func slicesDiffer(_ variable: Variable, owner: Name?, key: Name) -> Problem {
    let name = variable.name.inMessage
    let fault =
      if let owner, let other = variable.partition?.fullName {
        "slices must all be from the same tensor: \(owner.inMessage) != \(other.inMessage)"
      } else {
        "variable \(name) in a list of partitions has no partition declared"
      }
    return Problem(
      .slicesDiffer, "key \(key.inMessage): \(fault)", key: key, variable: variable.name)
  }

  /// A name `<name>/part_…` in the store, but neither the variable nor its first partition.
  static func partsLack(_ name: Name, key: Name) -> Problem {
    Problem(
      .invalidRequest,
      "key \(key.inMessage): names beginning \(name.inMessage)/part_ are taken for partitions, "
        + "but neither variable \(name.inMessage) nor \(name.inMessage)/part_0 is declared",
      key: key, variable: name)
  }
}
