/// Everything that is wrong with a request, in TensorFlow's order: the first decides code and
/// reason.
package struct Problems: Error, Sendable, Hashable {
  /// The most problems that are described; chosen, not tuned: more than anyone reads.
  package static let maximumCount = 100

  /// The first problems, at least one and at most `maximumCount`; one may stand for several that
  /// have the same cause.
  package var all: [Problem]
  /// The number of problems, described or not.
  package var total: Int

  /// Takes a list that is not empty; problems beyond the maximum are only counted.
  package init(_ all: [Problem], total: Int? = nil) {
    precondition(!all.isEmpty)
    self.all = Array(all.prefix(Self.maximumCount))
    self.total = total ?? all.count
  }

  /// The problem that TensorFlow would raise.
  package var first: Problem { all[0] }
}

extension Name {
  /// The name for a message: its description, or quotes if it is empty, but cut, so that a hostile
  /// name cannot bloat the answer.
  package var inMessage: String {
    let maximumByteCount = 512
    guard !bytes.isEmpty else { return "''" }
    guard bytes.count > maximumByteCount else { return description }
    return Name(bytes.prefix(maximumByteCount)).description + "…"
  }
}

extension TensorSlice {
  /// The slice for a message: its description, cut like `Name.inMessage`; `-` if it has no axes.
  package var inMessage: String {
    let maximumRank = 32
    guard !starts.isEmpty else { return "-" }
    guard starts.count > maximumRank else { return description }
    let cut = TensorSlice(
      starts: Array(starts.prefix(maximumRank)), counts: Array(counts.prefix(maximumRank)))
    return "\(cut) and \(starts.count - maximumRank) more axes"
  }
}

extension Shape {
  /// The shape for a message: its description, cut like `Name.inMessage`.
  package var inMessage: String {
    let maximumRank = 32
    guard rank > maximumRank else { return description }
    return "\(Shape(lengths.prefix(maximumRank))) and \(rank - maximumRank) more axes"
  }
}

/// Bounds the work that a small request can cause, measured in bytes that are looked at.
struct Allowance {
  /// About a second's work: 4 million matches of names of ordinary length; chosen, not tuned.
  static let maximum = 1 << 28
  /// The cost of a look-up in addition to the bytes of the name.
  static let lookup = 64
  /// The cost of asking each known cause whether it explains that a name is not found.
  static let explanation = 16 * lookup

  private var left = Allowance.maximum

  /// Takes from the rest of the allowance; throws the problem to answer with if too little is left.
  mutating func spend(_ amount: Int) throws(Problem) {
    left -= min(amount, Allowance.maximum)
    guard left >= 0 else {
      throw Problem(
        .invalidRequest,
        "resolving the assignment map takes too long; split it into several requests")
    }
  }
}
