/// Names one after the other in one buffer: 100,000 of them take two allocations.
package struct NameColumn: Sendable, Hashable {
  /// The bytes of all names.
  package private(set) var text: [UInt8] = []
  /// Where each name ends in the text.
  package private(set) var ends: [Int] = []

  package init() {}

  /// Makes a column of what it consists of; nil if the lengths are not those of the text.
  package init?(_ text: [UInt8], lengths: [UInt32]) {
    var ends: [Int] = []
    ends.reserveCapacity(lengths.count)
    var end = 0
    for length in lengths {
      end += Int(length)
      ends.append(end)
    }
    guard end == text.count else { return nil }
    self.text = text
    self.ends = ends
  }

  /// The number of names.
  package var count: Int { ends.count }

  /// The bytes of a name in the text.
  package func range(_ position: Int) -> Range<Int> {
    (position == 0 ? 0 : ends[position - 1])..<ends[position]
  }

  /// A name, which shares the buffer.
  package subscript(position: Int) -> Name { Name(text[range(position)]) }

  package mutating func append(_ name: Name) {
    text.append(contentsOf: name.bytes)
    ends.append(text.count)
  }

  package mutating func append(_ other: NameColumn) {
    let start = text.count
    text += other.text
    ends.reserveCapacity(count + other.count)
    for end in other.ends { ends.append(start + end) }
  }

  package mutating func removeAll() {
    text.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
  }
}

/// Shapes, or other numbers for the axes of tensors, one after the other in one buffer.
package struct ShapeColumn: Sendable, Hashable {
  /// The numbers of all.
  package private(set) var lengths: [Int] = []
  /// Where each one's numbers end.
  package private(set) var ends: [Int] = []

  package init() {}

  /// Makes a column of what it consists of; nil if the ranks are not those of the lengths.
  ///
  /// A rank below 0, for an unknown one, has no lengths.
  package init?(_ lengths: [Int], ranks: [Int32]) {
    var ends: [Int] = []
    ends.reserveCapacity(ranks.count)
    var end = 0
    for rank in ranks {
      end += max(0, Int(rank))
      ends.append(end)
    }
    guard end == lengths.count else { return nil }
    self.lengths = lengths
    self.ends = ends
  }

  /// The number of shapes.
  package var count: Int { ends.count }

  /// The numbers of a shape among all.
  package func range(_ position: Int) -> Range<Int> {
    (position == 0 ? 0 : ends[position - 1])..<ends[position]
  }

  /// A shape, which shares the buffer.
  package subscript(position: Int) -> Shape { Shape(lengths[range(position)]) }

  package mutating func append(_ shape: ArraySlice<Int>) {
    lengths.append(contentsOf: shape)
    ends.append(lengths.count)
  }

  package mutating func append(_ other: ShapeColumn) {
    let start = lengths.count
    lengths += other.lengths
    ends.reserveCapacity(count + other.count)
    for end in other.ends { ends.append(start + end) }
  }

  package mutating func removeAll() {
    lengths.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
  }
}
