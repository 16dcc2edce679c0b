/// Shapes end to end in one buffer, by position.
package struct ShapeList: Sendable, Hashable {
  /// The lengths of all axes, one shape after the other.
  package private(set) var lengths: [Int] = []
  private var ends: [Int] = []

  package init() {}

  /// Makes a list from its buffer; nil if the ranks do not add up to the number of lengths.
  ///
  /// A rank below 0, for an unknown one, has no lengths.
  package init?(_ lengths: [Int], ranks: [Int32]) {
    ends.reserveCapacity(ranks.count)
    var end = 0
    for rank in ranks {
      end += max(0, Int(rank))
      ends.append(end)
    }
    guard end == lengths.count else { return nil }
    self.lengths = lengths
  }

  /// The approximate number of bytes of memory that the list takes.
  var memoryByteCount: Int { (lengths.count + ends.count) * MemoryLayout<Int>.stride }

  /// Makes room for shapes, so that appending them does not reallocate.
  mutating func reserveCapacity(_ count: Int, axisCount: Int) {
    ends.reserveCapacity(count)
    lengths.reserveCapacity(axisCount)
  }

  /// Adds a shape.
  package mutating func append(_ lengths: Span<Int>) {
    for axis in lengths.indices { self.lengths.append(lengths[axis]) }
    ends.append(self.lengths.count)
  }

  /// Adds a shape by its axes.
  @inline(__always)
  mutating func append(_ axes: Range<Int>, _ length: (Int) -> Int) {
    for axis in axes { lengths.append(length(axis)) }
    ends.append(lengths.count)
  }

  /// Adds a shape whole.
  package mutating func append(_ shape: Shape) { append(shape.lengths.span) }

  /// Adds the shapes of another list.
  package mutating func append(_ other: ShapeList) {
    let start = lengths.count
    lengths += other.lengths
    for index in other.ends.indices { ends.append(start + other.ends[index]) }
  }

  /// A shape, which shares the buffer.
  package subscript(position: Int) -> Shape { Shape(lengths[range(position)]) }

  /// A shape's lengths.
  @inline(__always)
  @_lifetime(borrow self)
  package func span(_ position: Int) -> Span<Int> { lengths.span.extracting(range(position)) }

  /// Where a shape lies in `lengths`.
  package func range(_ position: Int) -> Range<Int> {
    let end = ends[position]
    return (position == 0 ? 0 : ends[position &- 1])..<end
  }
}
