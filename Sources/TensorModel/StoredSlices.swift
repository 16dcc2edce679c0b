/// The slices in which a checkpoint stores a tensor, after a check that they fit it and do not
/// overlap.
struct StoredSlices {
  /// A fault of the stored slices, whichever of them is read.
  enum Fault: Error {
    /// A slice does not lie in the tensor, or the tensor's size is beyond counting.
    case outside(TensorSlice)
    /// Two slices have elements in common.
    case overlap(TensorSlice, TensorSlice)
    /// Comparing them takes too long.
    case exhausted(Problem)
  }

  private let all: [TensorSlice]
  private let slices: Set<TensorSlice>
  private let index: SliceIndex?
  private let isComplete: Bool

  /// Checks the slices, in about n log n steps if one axis tells them apart, as for a
  /// partitioner's.
  init(_ slices: [TensorSlice], of shape: Shape, _ allowance: inout Allowance) throws(Fault) {
    if let outside = slices.first(where: { !$0.fits(shape) }) { throw .outside(outside) }
    guard let total = shape.elementCount else { throw .outside(TensorSlice(whole: shape)) }
    try Self.checkOverlap(slices, &allowance)
    all = slices
    self.slices = Set(slices)
    // They lie in the tensor and apart, so the sum is at most the total.
    let whole = TensorSlice(whole: shape)
    isComplete = slices.reduce(0) { $0 + $1.commonCount(with: whole) } == total
    index = isComplete ? nil : SliceIndex(slices)
  }

  /// Whether every element of a box, which fits the tensor, is stored.
  func cover(_ box: TensorSlice, _ allowance: inout Allowance) throws(Problem) -> Bool {
    if isComplete || slices.contains(box) { return true }
    let candidates = index?.candidates(for: box) ?? Array(all.indices)[...]
    try allowance.spend(candidates.count * Allowance.lookup)
    let stored = candidates.reduce(0) { $0 + all[$1].commonCount(with: box) }
    return stored == box.shape.elementCount
  }

  /// Sweeps along the axis with the most different starts, comparing slices that meet on it.
  private static func checkOverlap(
    _ slices: [TensorSlice], _ allowance: inout Allowance
  ) throws(Fault) {
    guard let axis = SliceIndex.axis(tellingApart: slices) else {
      if slices.count > 1 { throw .overlap(slices[0], slices[1]) }
      return
    }
    var met: [TensorSlice] = []
    for slice in slices.sorted(by: { $0.starts[axis] < $1.starts[axis] }) {
      do throws(Problem) {
        try allowance.spend(met.count * Allowance.lookup)
      } catch {
        throw .exhausted(error)
      }
      met.removeAll { $0.starts[axis] + $0.counts[axis] <= slice.starts[axis] }
      if let other = met.first(where: { $0.commonCount(with: slice) > 0 }) {
        throw .overlap(other, slice)
      }
      met.append(slice)
    }
  }
}

extension StoredSlices.Fault {
  var reason: Reason {
    switch self {
    case .outside: .corrupt
    case .overlap: .slicesOverlap
    case .exhausted(let problem): problem.reason
    }
  }

  /// What is wrong with the slices of a tensor of a shape.
  func message(_ shape: Shape) -> String {
    switch self {
    case .outside(let slice):
      "stored slice \(slice.inMessage) does not lie in the tensor, of shape \(shape.inMessage)"
    case .overlap(let first, let second):
      "overlapping slices are stored: \(first.inMessage) and \(second.inMessage)"
    case .exhausted(let problem): problem.message
    }
  }
}

extension Catalog {
  /// What is wrong with the stored slices of a tensor, whichever of them is read; nil if they fit
  /// it and do not overlap.
  package func problem(ofSlices tensor: Int) -> Problem? {
    guard isSliced(tensor) else { return nil }
    var allowance = Allowance()
    do throws(StoredSlices.Fault) {
      _ = try StoredSlices(slices(tensor), of: shape(tensor), &allowance)
      return nil
    } catch {
      let name = name(tensor)
      return Problem(
        error.reason, "tensor \(name.inMessage): \(error.message(shape(tensor)))", tensor: name)
    }
  }
}

extension TensorSlice {
  /// The number of elements that both have; both must fit one shape whose elements can be counted.
  fileprivate func commonCount(with other: TensorSlice) -> Int {
    var count = 1
    for axis in starts.indices {
      let start = max(starts[axis], other.starts[axis])
      let end = min(starts[axis] + counts[axis], other.starts[axis] + other.counts[axis])
      guard start < end else { return 0 }
      // Wraps only where a later axis is empty, as in a tensor of no elements.
      count &*= end - start
    }
    return count
  }
}
