/// Everything that is wrong with a request, in TensorFlow's order: the first decides code and reason.
package struct Problems: Error, Sendable, Hashable {
  /// The most problems that are described; chosen, not tuned: more than anyone reads.
  package static let maximumCount = 100

  /// The first problems, at least one and at most `maximumCount`; one may stand for several of one
  /// cause.
  package var all: [Problem]
  /// How many there are, described or not.
  package var total: Int

  /// Makes the problems of a list that is not empty; those beyond the maximum are only counted.
  package init(_ all: [Problem], total: Int? = nil) {
    precondition(!all.isEmpty)
    self.all = Array(all.prefix(Self.maximumCount))
    self.total = total ?? all.count
  }

  /// The problem that TensorFlow would raise.
  package var first: Problem { all[0] }
}

extension Name {
  /// The name for a message: as its description, but cut where a hostile one would swell the answer.
  package var inMessage: String {
    let maximumByteCount = 512
    guard bytes.count > maximumByteCount else { return description }
    return Name(bytes.prefix(maximumByteCount)).description + "…"
  }
}

extension TensorSlice {
  /// The slice for a message: as its description, but cut as `Name.inMessage` is, and never empty.
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
  /// The shape for a message, cut as `Name.inMessage` is.
  package var inMessage: String {
    let maximumRank = 32
    guard rank > maximumRank else { return description }
    return "\(Shape(lengths.prefix(maximumRank))) and \(rank - maximumRank) more axes"
  }
}

/// Bounds the work that a small request can ask for, in bytes looked at or what takes as long.
struct Allowance {
  /// About a second's work: 4 million matches of names of ordinary length; chosen, not tuned.
  static let maximum = 1 << 28
  /// What one look-up costs besides its name's bytes.
  static let lookup = 64

  private var left = Allowance.maximum

  /// Takes from what is left, or throws what to answer when a request is used up.
  mutating func spend(_ amount: Int) throws(Problem) {
    left -= min(amount, Allowance.maximum)
    guard left >= 0 else {
      throw Problem(
        .invalidRequest, "the assignment map takes too much work to resolve; split the request")
    }
  }
}
