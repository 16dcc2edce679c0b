/// Shapes end to end in one buffer, by position.
package struct ShapeList: Sendable {
  private(set) var lengths: [Int] = []
  private var ends: [Int] = []

  package init() {}

  /// The memory that the list takes, in bytes, about.
  var memoryByteCount: Int { (lengths.count + ends.count) * MemoryLayout<Int>.stride }

  /// Adds a shape.
  mutating func append(_ lengths: Span<Int>) {
    for axis in lengths.indices { self.lengths.append(lengths[axis]) }
    ends.append(self.lengths.count)
  }

  /// A shape, which shares the buffer.
  subscript(position: Int) -> Shape { Shape(lengths[range(position)]) }

  /// A shape's lengths.
  @inline(__always)
  @_lifetime(borrow self)
  func span(_ position: Int) -> Span<Int> { lengths.span.extracting(range(position)) }

  private func range(_ position: Int) -> Range<Int> {
    let end = ends[position]
    return (position == 0 ? 0 : ends[position &- 1])..<end
  }
}
