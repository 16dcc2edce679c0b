/// One mistake that explains why many names of a map are not found.
enum Cause: Hashable {
  /// The map has names that begin with `from`, and they should begin with `to`; either may be
  /// empty.
  case prefix(from: Name, to: Name)
  /// The names end in the suffix that TensorFlow gives an operation's output, `w:0`, and should
  /// not.
  case output
  /// The names have `from` where the known ones have `to`, between their components.
  case separator(from: UInt8, to: UInt8)
  /// The names lack the suffix `:0` of an operation's first output.
  case outputMissing
  /// Keys name variables or scopes of variables, and targets name tensors or scopes of tensors.
  case swapped
  /// The target of the pair is a scope, written without its slash or with a dot in its place.
  case slash(pair: Int)
  /// The key of the pair is a scope that no tensor is in.
  case scope(pair: Int)
}

extension Cause {
  /// The name that was probably meant; nil if the cause does not explain this name.
  func correction(of name: Name) -> Name? {
    switch self {
    case .prefix(let from, let to):
      guard name.bytes.starts(with: from.bytes) else { return nil }
      return Name(to.bytes + name.bytes.dropFirst(from.bytes.count))
    case .separator(let from, let to):
      guard name.bytes.contains(from) else { return nil }
      return Name(name.bytes.map { $0 == from ? to : $0 }[...])
    case .output: return name.withoutOutput
    case .outputMissing: return name.withFirstOutput
    case .swapped, .slash, .scope: return nil
    }
  }

  /// The end of a message about a name that should have been `found`.
  func hint(_ found: Name) -> String {
    switch self {
    case .prefix(let from, let to) where to.bytes.isEmpty:
      "; there is \(found.inMessage), without \(from.inMessage) in front"
    case .prefix(let from, let to) where from.bytes.isEmpty:
      "; there is \(found.inMessage), with \(to.inMessage) in front"
    case .prefix: "; there is \(found.inMessage), which differs only in upper and lower case"
    case .separator(let from, let to):
      "; there is \(found.inMessage), with '\(Name([to]))' in place of '\(Name([from]))'"
    case .output: "; leave out TensorFlow's output suffix: the name is \(found.inMessage)"
    case .outputMissing: "; there is \(found.inMessage), with TensorFlow's output suffix"
    case .swapped: "; key and target are swapped: \(found.inMessage) is in the checkpoint"
    case .slash:
      "; \(Name(found.bytes.dropLast()).inMessage) is a scope: write \(found.inMessage)"
    case .scope: "; no tensor is in scope \(found.inMessage)"
    }
  }
}
