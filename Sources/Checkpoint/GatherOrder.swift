import WarmstartTensorModel

/// The indices of a variable on the gathered axes, sorted by the tensor's indices that they
/// receive.
///
/// Sorted once for a piece, for all its stored runs.
struct GatherOrder {
  struct Axis {
    let axis: Int
    /// The tensor's index for each index of the variable.
    let indices: [Int]
    /// The variable's indices that receive anything, in ascending order of the tensor's indices.
    var order: [Int]

    /// The tensor's index at a position in the order.
    func source(_ place: Int) -> Int { indices[order[place]] }

    /// The first position in the order whose tensor's index is this one or greater.
    func place(of source: Int) -> Int {
      order.indices.firstPosition { self.source($0) >= source }
    }
  }

  let axes: [Axis]

  init(_ gather: Gather) {
    axes = gather.axes.map { axis in
      let indices = axis.indices
      var order: [Int] = []
      order.reserveCapacity(indices.count)
      for index in indices.indices where indices[index] >= 0 { order.append(index) }
      order.sort { (indices[$0], $0) < (indices[$1], $1) }
      return Axis(axis: axis.axis, indices: indices, order: order)
    }
  }
}
