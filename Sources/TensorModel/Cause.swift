/// Why names of a map are not found, where one mistake is behind many of them.
enum Cause: Hashable {
  /// Names were written to begin with `from` that begin with `to`; either may be empty.
  case prefix(from: Name, to: Name)
  /// The suffix that TensorFlow gives an operation's output was left at the end: `w:0`.
  case output
  /// The names have the suffix of an operation's first output, and it was left out.
  case outputMissing
  /// Keys are variables or their scopes, and targets are tensors or theirs.
  case swapped
  /// The target of the pair is a scope, written without its slash.
  case slash(pair: Int)
}

extension Cause {
  /// What a name should have been if this is the cause; nil if the cause is not about this name.
  func correction(of name: Name) -> Name? {
    switch self {
    case .prefix(let from, let to):
      guard name.bytes.starts(with: from.bytes) else { return nil }
      return Name(to.bytes + name.bytes.dropFirst(from.bytes.count))
    case .output: return name.withoutOutput
    case .outputMissing: return name.withFirstOutput
    case .swapped, .slash: return nil
    }
  }

  /// What to say of a name that is known by another, worded to end a message.
  func hint(_ found: Name) -> String {
    switch self {
    case .prefix(let from, let to) where to.bytes.isEmpty:
      "; there is \(found.inMessage), without \(from.inMessage) in front"
    case .prefix(let from, let to) where from.bytes.isEmpty:
      "; there is \(found.inMessage), with \(to.inMessage) in front"
    case .prefix: "; there is \(found.inMessage), which differs only in upper and lower case"
    case .output: "; leave out TensorFlow's output suffix: the name is \(found.inMessage)"
    case .outputMissing: "; there is \(found.inMessage), with TensorFlow's output suffix"
    case .swapped: "; key and target are swapped: \(found.inMessage) is in the checkpoint"
    case .slash: "; \(found.inMessage) is a scope: write \(found.inMessage)/"
    }
  }
}
