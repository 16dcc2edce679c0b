/// Finds the slices of one tensor that may intersect a box, without looking at all of them.
///
/// They are sorted along the axis that tells them apart best. Slices need not fit the tensor.
package struct SliceIndex: Sendable {
  private let axis: Int
  /// The slices' positions, by where they start on the axis.
  private let order: [Int]
  /// Where they start on the axis, in that order.
  private let starts: [Int]
  /// For each place in the order, the furthest end on the axis of the slices up to it.
  private let ends: [Int]

  /// Sorts slices, all of one rank; nil if they have no axis.
  package init?(_ slices: [TensorSlice]) {
    guard let axis = SliceIndex.axis(tellingApart: slices) else { return nil }
    self.axis = axis
    order = slices.indices.sorted { slices[$0].starts[axis] < slices[$1].starts[axis] }
    starts = order.map { slices[$0].starts[axis] }
    var furthest = Int.min
    ends = order.map { position in
      furthest = max(furthest, SliceIndex.end(of: slices[position], on: axis))
      return furthest
    }
  }

  /// The axis with the most different starts; nil if there is none.
  static func axis(tellingApart slices: [TensorSlice]) -> Int? {
    let counts = (slices.first?.starts.indices ?? 0..<0).map { axis in
      Set(slices.map { $0.starts[axis] }).count
    }
    return counts.indices.max { counts[$0] < counts[$1] }
  }

  /// The positions of all slices that intersect a box, and perhaps of others, in the order of their
  /// starts.
  package func candidates(for box: TensorSlice) -> ArraySlice<Int> {
    let start = box.starts[axis]
    let end = SliceIndex.end(of: box, on: axis)
    let upper = starts.indices.firstPosition { starts[$0] >= end }
    let lower = ends.indices.firstPosition { ends[$0] > start }
    return order[min(lower, upper)..<upper]
  }

  /// The approximate number of bytes of memory that the index takes.
  package var memoryByteCount: Int { order.count * 24 + 120 }

  private static func end(of slice: TensorSlice, on axis: Int) -> Int {
    let (end, overflow) = slice.starts[axis].addingReportingOverflow(slice.counts[axis])
    guard overflow else { return end }
    return slice.starts[axis] > 0 ? .max : .min
  }
}
