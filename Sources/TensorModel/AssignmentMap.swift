/// An assignment map as `tf.compat.v1.train.init_from_checkpoint` takes it: pairs in the caller's
/// order.
///
/// A dictionary literal makes one: `["bert/": "student/", "kernel": .variable("w")]`.
public struct AssignmentMap: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// What a key of the map is assigned to.
  public enum Target: Sendable, Hashable, ExpressibleByStringInterpolation {
    /// A variable or a scope of the variable store, by name; a scope ends in `/`.
    case name(Name)
    /// A variable by its declared name, whether it is in the variable store or not.
    case variable(Name)
    /// The partitions of one variable, by their declared names.
    case variables([Name])

    /// Makes the target of a name from a string literal.
    ///
    /// - Parameter value: The name of a variable or a scope.
    public init(stringLiteral value: String) {
      self = .name(Name(value))
    }

    /// Makes the target of a name from an interpolated string: `"student/layer_\(number)/"`.
    ///
    /// - Parameter stringInterpolation: The name of a variable or a scope.
    public init(stringInterpolation: Name.StringInterpolation) {
      self = .name(Name(stringInterpolation: stringInterpolation))
    }
  }

  /// One entry of the map.
  public struct Pair: Sendable, Hashable {
    /// A tensor of the checkpoint, or a scope ending in `/`.
    public var key: Name
    /// The variables that the tensor, or the tensors of the scope, initialize.
    public var target: Target

    /// Makes an entry.
    ///
    /// - Parameters:
    ///   - key: A tensor of the checkpoint, or a scope ending in `/`; `/` alone is the root.
    ///   - target: The variable, the partitions or the scope to initialize.
    public init(_ key: Name, _ target: Target) {
      self.key = key
      self.target = target
    }
  }

  /// The entries; a key may occur more than once, as in the list form.
  public var pairs: [Pair]

  /// Makes a map from entries.
  ///
  /// - Parameter pairs: The entries in their order; a key may occur more than once.
  public init(_ pairs: [Pair]) {
    self.pairs = pairs
  }

  /// Makes a map from a dictionary literal, whose pairs keep their order.
  ///
  /// - Parameter elements: Keys with their targets.
  public init(dictionaryLiteral elements: (Name, Target)...) {
    pairs = elements.map { Pair($0, $1) }
  }
}
