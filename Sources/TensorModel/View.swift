/// How a variable's elements differ from those of its tensor: in the order of their axes, or in
/// their type.
package struct View: Sendable, Hashable {
  /// For each axis of the variable, the axis of the tensor; empty if they are the same.
  package var axes: [Int]
  /// The type that the numbers are cast to; nil for the stored one.
  package var dtype: DataType?

  /// Makes a view; by default, of the elements as they are.
  package init(axes: [Int] = [], dtype: DataType? = nil) {
    self.axes = axes
    self.dtype = dtype
  }

  /// Whether the elements are as they are stored.
  package var isPlain: Bool { axes.isEmpty && dtype == nil }

  /// Whether each axis below a rank comes once.
  package static func isOrder(_ axes: [Int], ofRank rank: Int) -> Bool {
    guard axes.count == rank else { return false }
    var isTaken = [Bool](repeating: false, count: rank)
    for axis in axes {
      guard axis >= 0, axis < rank, !isTaken[axis] else { return false }
      isTaken[axis] = true
    }
    return true
  }

  /// The order of a tensor's axes that gives it a shape; nil if there is none, or several.
  static func order(from stored: Shape, to wanted: Shape) -> [Int]? {
    let maximumRank = 16
    let lengths = Array(stored.lengths)
    guard wanted.rank == stored.rank, stored.rank <= maximumRank else { return nil }
    let order = wanted.lengths.compactMap { lengths.firstIndex(of: $0) }
    return isOrder(order, ofRank: stored.rank) ? order : nil
  }

  /// Axes for messages, which show the first ones.
  package static func inMessage(_ axes: [Int]) -> String {
    let shown = 16
    let all = axes.prefix(shown).map(String.init).joined(separator: ", ")
    return "(\(all)\(axes.count > shown ? ", …" : ""))"
  }

  /// The tensor's numbers in the order of the variable's axes; they must be as many.
  package func variableOrder(_ numbers: [Int]) -> [Int] {
    axes.isEmpty ? numbers : axes.map { numbers[$0] }
  }

  /// A tensor's lengths in the order of the variable's axes; they must be as many.
  package func variableOrder(_ lengths: Span<Int>) -> [Int] {
    var ordered = axes
    if axes.isEmpty {
      for axis in lengths.indices { ordered.append(lengths[axis]) }
    } else {
      for position in ordered.indices { ordered[position] = lengths[axes[position]] }
    }
    return ordered
  }

  /// The variable's numbers in the order of the tensor's axes; they must be as many.
  package func tensorOrder(_ numbers: [Int]) -> [Int] {
    guard !axes.isEmpty else { return numbers }
    var ordered = numbers
    for (position, axis) in axes.enumerated() { ordered[axis] = numbers[position] }
    return ordered
  }

  /// A slice of the variable as a slice of the tensor.
  package func tensorOrder(_ slice: TensorSlice) -> TensorSlice {
    TensorSlice(starts: tensorOrder(slice.starts), counts: tensorOrder(slice.counts))
  }

  /// A slice of the tensor as a slice of the variable.
  package func variableOrder(_ slice: TensorSlice) -> TensorSlice {
    TensorSlice(starts: variableOrder(slice.starts), counts: variableOrder(slice.counts))
  }
}

extension DataType {
  /// Whether numbers are cast from one type to the other: both are floating-point numbers of 16 to
  /// 64 bits, and they differ.
  package func isCast(to other: DataType) -> Bool {
    self != other && DataType.castable.contains(self) && DataType.castable.contains(other)
  }

  /// The types that are cast to each other.
  static let castable: [DataType] = [.float16, .bfloat16, .float32, .float64]
}
