/// The variables that a request declares, by position: flat, because 100,000 of them are common.
package struct VariableList: Sendable, Hashable {
  private struct Traits: Sendable, Hashable {
    var dtype: DataType
    var isRankKnown: Bool
    var isInStore: Bool
    /// The position among the partitions; negative for a variable that is none.
    var partition: Int32
  }

  package private(set) var names = NameList()
  /// No lengths for those whose rank is not known.
  package private(set) var shapes = ShapeList()
  private var traits: [Traits] = []
  private var partitions: [Partition] = []
  /// The rows or columns that variables choose, by position; most variables take whole tensors.
  package private(set) var gathers: [Int: Gather] = [:]
  /// For the axes of variables the tensor's axes, by position; most variables have them in order.
  package private(set) var axes: [Int: [Int]] = [:]
  /// Whether a variable is not in the store.
  package private(set) var hasOutsideStore = false
  /// Whether a shape has a length that is unknown or wrong.
  private(set) var hasNegativeLengths = false

  package init() {}

  /// Makes the list of variables in their order.
  package init(_ variables: [Variable]) {
    // Field by field: a copy of a variable would count references to all its buffers. Once: they
    // are more than a processor's cache has room for.
    let all = variables.span
    // In locals: a property of a property is looked up again for each element.
    var names = NameList()
    var shapes = ShapeList()
    var traits: [Traits] = []
    var partitions: [Int] = []
    let likely = variables.first.map { ($0.name.bytes.count + 8, $0.shape?.rank ?? 0) } ?? (0, 0)
    names.reserveCapacity(all.count, byteCount: likely.0 * all.count)
    shapes.reserveCapacity(all.count, axisCount: likely.1 * all.count)
    traits.reserveCapacity(all.count)
    for index in all.indices {
      names.append(all[index].name)
      let axes = all[index].shape?.lengths.indices
      shapes.append(axes ?? 0..<0) { axis in all[index].shape?.lengths[axis] ?? 0 }
      traits.append(
        Traits(
          dtype: all[index].dtype, isRankKnown: axes != nil, isInStore: all[index].isInStore,
          partition: -1))
      if !all[index].isInStore { hasOutsideStore = true }
      // To compare the partition itself with nil would copy it.
      if all[index].partition?.offset.count != nil { partitions.append(index) }
    }
    (self.names, self.shapes, self.traits) = (names, shapes, traits)
    for index in partitions {
      if let partition = variables[index].partition { place(index, partition) }
    }
    for length in shapes.lengths where length < 0 { hasNegativeLengths = true }
  }

  /// Makes the list of columns, which are as long as each other; a rank below 0 is an unknown one.
  package init(_ names: NameList, _ dtypes: [DataType], _ shapes: ShapeList, ranks: [Int32]) {
    self.names = names
    self.shapes = shapes
    for length in shapes.lengths where length < 0 { hasNegativeLengths = true }
    traits.reserveCapacity(dtypes.count)
    for position in dtypes.indices {
      traits.append(
        Traits(
          dtype: dtypes[position], isRankKnown: ranks[position] >= 0, isInStore: true,
          partition: -1))
    }
  }

  /// Whether a variable has a name.
  package func isCalled(_ position: Int, _ name: Span<UInt8>) -> Bool {
    names.span(position).equals(name)
  }

  /// Notes that a variable is not in the store.
  package mutating func takeOutOfStore(_ position: Int) {
    traits[position].isInStore = false
    hasOutsideStore = true
  }

  /// Notes that a variable is a partition.
  package mutating func place(_ position: Int, _ partition: Partition) {
    traits[position].partition = Int32(partitions.count)
    partitions.append(partition)
  }

  /// Notes that a variable consists of chosen rows or columns.
  package mutating func gather(_ position: Int, _ gather: Gather) {
    gathers[position] = gather
  }

  /// Notes that a variable has its tensor's axes in another order.
  package mutating func transpose(_ position: Int, _ axes: [Int]) {
    self.axes[position] = axes
  }

  /// How a variable sees a tensor of a type.
  package func view(_ position: Int, of stored: DataType) -> View {
    let dtype = dtype(position)
    return View(
      axes: axes.isEmpty ? [] : axes[position] ?? [], dtype: dtype == stored ? nil : dtype)
  }

  /// What a variable takes of its tensor, for messages about its shape; empty for all as it is.
  func choice(_ position: Int) -> String {
    if let gather = gathers[position] { return " \(gather.inMessage)" }
    if let axes = axes[position] { return " transposed to axes \(View.inMessage(axes))" }
    return ""
  }

  /// Makes room for variables, so that appending them does not reallocate.
  package mutating func reserveCapacity(_ count: Int, nameByteCount: Int) {
    names.reserveCapacity(count, byteCount: nameByteCount)
    traits.reserveCapacity(count)
  }

  /// Adds a variable; the lengths of a rank that is not known are not looked at.
  package mutating func append(
    _ name: Span<UInt8>, _ dtype: DataType, _ lengths: Span<Int>, isRankKnown: Bool = true,
    partition: Partition? = nil, isInStore: Bool = true
  ) {
    names.append(name)
    shapes.append(lengths)
    for axis in lengths.indices where lengths[axis] < 0 { hasNegativeLengths = true }
    traits.append(
      Traits(
        dtype: dtype, isRankKnown: isRankKnown, isInStore: isInStore,
        partition: partition == nil ? -1 : Int32(partitions.count)))
    if let partition { partitions.append(partition) }
    if !isInStore { hasOutsideStore = true }
  }

  /// The number of variables.
  package var count: Int { traits.count }

  /// Whether no variable is a partition.
  package var hasNoPartitions: Bool { partitions.isEmpty }

  /// Whether a variable's rank is known.
  package func isRankKnown(_ position: Int) -> Bool { traits[position].isRankKnown }

  /// A variable.
  package subscript(position: Int) -> Variable {
    Variable(
      names[position], dtype: dtype(position), shape: shape(position),
      partition: partition(position),
      isInStore: isInStore(position))
  }

  package func dtype(_ position: Int) -> DataType { traits[position].dtype }

  package func isInStore(_ position: Int) -> Bool { traits[position].isInStore }

  /// The declared shape; nil if its rank is unknown.
  package func shape(_ position: Int) -> Shape? {
    traits[position].isRankKnown ? shapes[position] : nil
  }

  /// The place in a partitioned variable; nil for a variable that is not a partition.
  package func partition(_ position: Int) -> Partition? {
    let partition = traits[position].partition
    return partition < 0 ? nil : partitions[Int(partition)]
  }

  /// Whether the variable takes elements of a type: its own, or one that is cast to it.
  func takes(_ stored: DataType, _ position: Int, areCast: Bool) -> Bool {
    let dtype = dtype(position)
    return dtype == stored || areCast && stored.isCast(to: dtype)
  }

  /// Whether a tensor of the given shape may initialize the variable, as `Shape.accepts` says.
  func accepts(_ stored: Span<Int>, _ position: Int) -> Bool {
    guard traits[position].isRankKnown || !axes.isEmpty else { return true }
    if !gathers.isEmpty, let gather = gathers[position] {
      return accepts(lengths: gather.lengths(from: stored).span, position)
    }
    if !axes.isEmpty, let axes = axes[position] {
      guard axes.count == stored.count else { return false }
      let lengths = View(axes: axes).variableOrder(stored)
      return accepts(lengths: lengths.span, position)
    }
    return accepts(lengths: stored, position)
  }

  private func accepts(lengths stored: Span<Int>, _ position: Int) -> Bool {
    guard traits[position].isRankKnown else { return true }
    let lengths = shapes.span(position)
    guard lengths.count == stored.count else { return false }
    for axis in lengths.indices
    where lengths[axis] != stored[axis] && lengths[axis] != Shape.unknownLength {
      return false
    }
    return true
  }
}
