/// The rows or columns of a tensor that make up a variable, by their indices on some axes.
///
/// The lists may have millions of indices and are parts of dictionary keys. So this is a class,
/// which hashes them once and never copies them.
package final class Gather: Sendable, Hashable {
  /// The indices that are chosen on one axis.
  package struct Axis: Sendable, Hashable {
    /// Counted from 0, the outermost.
    package let axis: Int
    /// For each index of the variable the index of the tensor, or `Gather.missing`.
    package let indices: [Int]

    /// Chooses indices of an axis.
    package init(_ axis: Int, _ indices: [Int]) {
      self.axis = axis
      self.indices = indices
    }
  }

  /// Stands for an index that the tensor lacks: the variable's elements there are zero.
  package static let missing = -1

  /// In ascending order of the axes, at least one.
  package let axes: [Axis]
  /// For each of the axes the smallest and the largest index but `missing`; nil if all are missing.
  private let bounds: [ClosedRange<Int>?]
  private let digest: Int

  /// Chooses indices on axes, which must ascend.
  package init(_ axes: [Axis]) {
    self.axes = axes
    bounds = axes.map { axis in
      var (lowest, highest) = (Int.max, Gather.missing)
      for index in axis.indices where index != Gather.missing {
        lowest = min(lowest, index)
        highest = max(highest, index)
      }
      return lowest > highest ? nil : lowest...highest
    }
    digest = axes.hashValue
  }

  /// Whether both choose the same.
  package static func == (first: Gather, second: Gather) -> Bool {
    first === second || first.digest == second.digest && first.axes == second.axes
  }

  /// Hashes the digest of the lists.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(digest)
  }

  /// The number of indices on all axes.
  package var indexCount: Int { axes.reduce(0) { $0 + $1.indices.count } }

  /// The shape of the variable: the tensor's lengths, but on the chosen axes the number of indices.
  package func lengths(from lengths: Span<Int>) -> [Int] {
    var gathered: [Int] = []
    gathered.reserveCapacity(lengths.count)
    for axis in lengths.indices { gathered.append(lengths[axis]) }
    for axis in axes where axis.axis < gathered.count {
      gathered[axis.axis] = axis.indices.count
    }
    return gathered
  }

  /// The smallest box of the tensor that has all chosen indices; nil if all are missing.
  ///
  /// The tensor must have all axes and indices.
  package func box(of lengths: Span<Int>) -> TensorSlice? {
    var starts = [Int](repeating: 0, count: lengths.count)
    var counts: [Int] = []
    counts.reserveCapacity(lengths.count)
    for axis in lengths.indices { counts.append(lengths[axis]) }
    for (axis, bounds) in zip(axes, bounds) {
      guard let bounds else { return nil }
      starts[axis.axis] = bounds.lowerBound
      counts[axis.axis] = bounds.count
    }
    return TensorSlice(starts: starts, counts: counts)
  }

  /// The choice, for messages.
  package var inMessage: String {
    let shown = 4
    let all = axes.prefix(shown).map { "\($0.indices.count) on axis \($0.axis)" }
    return "gathered to length " + all.joined(separator: ", ") + (axes.count > shown ? ", …" : "")
  }

  /// An axis or an index that the tensor lacks.
  enum Fault: Error {
    case axis(Int)
    case index(Int, axis: Int, length: Int)
  }

  /// Whether a tensor of these lengths has all axes and indices.
  package func fits(_ lengths: Span<Int>) -> Bool { (try? check(against: lengths)) != nil }

  /// Throws for the first axis or index that a tensor of these lengths lacks.
  func check(against lengths: Span<Int>) throws(Fault) {
    for axis in axes {
      guard axis.axis < lengths.count else { throw .axis(axis.axis) }
      let length = lengths[axis.axis]
      let wrong = axis.indices.first { $0 < Gather.missing || $0 >= length }
      if let wrong { throw .index(wrong, axis: axis.axis, length: length) }
    }
  }
}
