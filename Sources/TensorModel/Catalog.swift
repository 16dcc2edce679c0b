/// What a checkpoint holds, without where: names, dtypes, shapes and stored slices, by position.
///
/// Flat, because 100,000 tensors are common: one buffer of names, one of lengths, one hash table of
/// positions, so that a look-up touches the table and one name. Immutable once made; the stored
/// order is the files' (ascending by bytes).
package struct Catalog: Sendable {
  private var nameBytes: [UInt8] = []
  private var nameEnds: [Int] = []
  private var lengths: [Int] = []
  private var lengthEnds: [Int] = []
  private var dtypes: [DataType] = []
  private var slices: [Int: [Slice]] = [:]
  private var slots: [Int32] = []

  package init() {}

  /// Adds a tensor and returns its position; `slices` are those that the checkpoint stores it in.
  ///
  /// Names must come in strictly ascending order. Call `index` after the last.
  @discardableResult
  package mutating func append(
    _ name: Name, _ dtype: DataType, _ shape: Shape, slices: [Slice] = []
  ) -> Int {
    nameBytes.append(contentsOf: name.bytes)
    nameEnds.append(nameBytes.count)
    lengths.append(contentsOf: shape.lengths)
    lengthEnds.append(lengths.count)
    dtypes.append(dtype)
    if !slices.isEmpty { self.slices[dtypes.count - 1] = slices }
    return dtypes.count - 1
  }

  /// Makes names findable; until then `position(of:)` finds nothing.
  package mutating func index() {
    var capacity = 8
    while capacity < dtypes.count * 2 { capacity *= 2 }
    var slots = [Int32](repeating: -1, count: capacity)
    for position in dtypes.indices {
      var slot = hash(name(position).bytes, []) & (capacity - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (capacity - 1) }
      slots[slot] = Int32(position)
    }
    self.slots = slots
  }

  /// The number of tensors.
  package var count: Int { dtypes.count }

  /// The memory that the catalog takes, in bytes, about.
  package var memoryByteCount: Int {
    nameBytes.count + (nameEnds.count + lengths.count + lengthEnds.count) * 8 + dtypes.count
      + slots.count * 4 + slices.values.reduce(0) { $0 + $1.count * 128 }
  }

  package func name(_ position: Int) -> Name {
    Name(nameBytes[(position == 0 ? 0 : nameEnds[position - 1])..<nameEnds[position]])
  }

  package func dtype(_ position: Int) -> DataType { dtypes[position] }

  package func shape(_ position: Int) -> Shape {
    Shape(lengths[(position == 0 ? 0 : lengthEnds[position - 1])..<lengthEnds[position]])
  }

  /// The slices that the tensor is stored in; none if it is stored whole.
  package func slices(_ position: Int) -> [Slice] { slices[position] ?? [] }

  /// Finds the tensor whose name is the two parts one after the other, without joining them.
  package func position(of first: Name, _ second: Name = Name([])) -> Int? {
    guard !slots.isEmpty else { return nil }
    let mask = slots.count - 1
    var slot = hash(first.bytes, second.bytes) & mask
    while slots[slot] >= 0 {
      let position = Int(slots[slot])
      let found = name(position).bytes
      if found.count == first.bytes.count + second.bytes.count,
        found.prefix(first.bytes.count).elementsEqual(first.bytes),
        found.suffix(second.bytes.count).elementsEqual(second.bytes)
      {
        return position
      }
      slot = (slot + 1) & mask
    }
    return nil
  }

  private func hash(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8>) -> Int {
    var bytes = ByteHasher(Hasher())
    bytes.combine(first)
    bytes.combine(second)
    return bytes.finish().finalize()
  }
}
