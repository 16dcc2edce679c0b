import WarmstartTensorModel

/// The variable's indices on the axes of a gather, sorted by the tensor's indices that they get.
///
/// Sorted once for a piece, however many stored runs it takes from.
struct GatherOrder {
  struct Axis {
    let axis: Int
    /// The tensor's index for each of the variable's.
    let indices: [Int]
    /// The variable's indices that get something, by the tensor's.
    var order: [Int]

    /// The tensor's index at a place in the order.
    func source(_ place: Int) -> Int { indices[order[place]] }

    /// The first place of an index of the tensor that is at least as large.
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
