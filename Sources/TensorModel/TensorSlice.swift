/// A box cut out of a tensor: where it starts and how long it is on each axis.
public struct TensorSlice: Sendable, Hashable {
  /// The first index on each axis.
  public let starts: [Int]
  /// The number of indices on each axis: the shape of what the slice cuts out.
  public let counts: [Int]

  /// Makes a slice; traps if there are not as many starts as counts.
  ///
  /// - Parameters:
  ///   - starts: The first index on each axis.
  ///   - counts: The number of indices on each axis.
  public init(starts: [Int], counts: [Int]) {
    precondition(starts.count == counts.count)
    self.starts = starts
    self.counts = counts
  }

  /// Makes the slice that covers a whole tensor.
  package init(whole shape: Shape) {
    starts = Array(repeating: 0, count: shape.rank)
    counts = Array(shape.lengths)
  }

  /// The shape of what the slice cuts out.
  public var shape: Shape { Shape(counts) }

  /// Whether the slice lies in a tensor of the given shape; false if the ranks differ.
  package func fits(_ shape: Shape) -> Bool {
    guard shape.rank == starts.count else { return false }
    for (axis, length) in shape.lengths.enumerated() {
      guard starts[axis] >= 0, counts[axis] >= 0, starts[axis] <= length,
        counts[axis] <= length - starts[axis]
      else { return false }
    }
    return true
  }

  /// Whether two slices have an element in common; both must fit one shape.
  package func intersects(_ other: TensorSlice) -> Bool {
    for axis in starts.indices {
      let start = max(starts[axis], other.starts[axis])
      let end = min(starts[axis] + counts[axis], other.starts[axis] + other.counts[axis])
      guard start < end else { return false }
    }
    return true
  }

  /// The box that two slices have in common, or nil; both must fit one shape.
  package func intersection(_ other: TensorSlice) -> TensorSlice? {
    var starts = self.starts
    var counts = self.counts
    for axis in starts.indices {
      let start = max(starts[axis], other.starts[axis])
      let end = min(starts[axis] + counts[axis], other.starts[axis] + other.counts[axis])
      guard start < end else { return nil }
      starts[axis] = start
      counts[axis] = end - start
    }
    return TensorSlice(starts: starts, counts: counts)
  }
}

extension TensorSlice: CustomStringConvertible {
  /// The slice as TensorFlow's `shape_and_slice` spells it: `0,5:2,3`.
  public var description: String {
    zip(starts, counts).map { "\($0),\($1)" }.joined(separator: ":")
  }
}
