/// The tensors of a checkpoint, by position: names, dtypes, shapes and stored slices, but not their
/// places in files.
///
/// Flat, because 100,000 tensors are common. The order is that of the files: ascending by the
/// names' bytes.
package struct Catalog: Sendable {
  /// The most tensors: what a table can refer to.
  package static let maximumCount = Int(Int32.max)

  private(set) var names = NameList()
  private(set) var shapes = ShapeList()
  private var dtypes: [DataType] = []
  private var slices: [Int: [TensorSlice]] = [:]
  /// Why tensors cannot be served, with their files: `of file model.pt is a sparse tensor: save …`.
  private var refusals: [Int: String] = [:]
  private var table: NameTable?
  /// The character at the end of a scope's name, beside `/`.
  let separator: UInt8

  package init(separator: UInt8 = UInt8(ascii: "/")) {
    self.separator = separator
  }

  /// Makes room for tensors, so that appending them does not reallocate.
  package mutating func reserveCapacity(_ count: Int, nameByteCount: Int, axisCount: Int) {
    names.reserveCapacity(count, byteCount: nameByteCount)
    shapes.reserveCapacity(count, axisCount: axisCount)
    dtypes.reserveCapacity(count)
  }

  /// Adds a tensor and returns its position; `slices` are those that the checkpoint stores it in.
  ///
  /// Names must come in strictly ascending order. Call `index` after the last.
  @discardableResult
  package mutating func append(
    _ name: Name, _ dtype: DataType, _ shape: Shape, slices: [TensorSlice] = []
  ) -> Int {
    if !slices.isEmpty { self.slices[dtypes.count] = slices }
    append(name.bytes.span, dtype, shape.lengths.span)
    return dtypes.count - 1
  }

  /// Adds a tensor that is stored whole, as the other `append` does.
  package mutating func append(_ name: Span<UInt8>, _ dtype: DataType, _ lengths: Span<Int>) {
    names.append(name)
    shapes.append(lengths)
    dtypes.append(dtype)
  }

  /// Notes that a tensor is only listed, of which file, and why: a predicate that says what to do.
  package mutating func refuse(_ position: Int, _ words: String) {
    refusals[position] = words
  }

  /// Makes names findable; until then `position(of:)` finds nothing.
  package mutating func index() {
    table = NameTable(names)
  }

  /// The number of tensors.
  package var count: Int { dtypes.count }

  /// The approximate number of bytes of memory that a refusal takes.
  package static let refusalByteCount = 512

  /// The approximate number of bytes of memory that the catalog takes.
  package var memoryByteCount: Int {
    names.memoryByteCount + shapes.memoryByteCount + dtypes.count + (table?.memoryByteCount ?? 0)
      + slices.values.reduce(0) { $0 + $1.count * (128 + 16 * ($1.first?.starts.count ?? 0)) }
      + refusals.count * Self.refusalByteCount
  }

  package func name(_ position: Int) -> Name { names[position] }

  /// The bytes of a tensor's name.
  @_lifetime(borrow self)
  package func nameBytes(_ position: Int) -> Span<UInt8> { names.span(position) }

  package func dtype(_ position: Int) -> DataType { dtypes[position] }

  package func shape(_ position: Int) -> Shape { shapes[position] }

  /// The lengths of a tensor's axes.
  @_lifetime(borrow self)
  package func lengths(_ position: Int) -> Span<Int> { shapes.span(position) }

  /// Whether the tensor is stored in slices.
  package func isSliced(_ position: Int) -> Bool { !slices.isEmpty && slices[position] != nil }

  /// The slices that the tensor is stored in; none if it is stored whole.
  package func slices(_ position: Int) -> [TensorSlice] {
    // Most checkpoints have none at all.
    slices.isEmpty ? [] : slices[position] ?? []
  }

  /// Why a tensor cannot be served, behind its file; nil if the catalog knows no reason.
  func refusal(_ position: Int) -> String? { refusals.isEmpty ? nil : refusals[position] }

  /// The problem of a tensor that is only listed; nil for others.
  package func problem(ofListed position: Int) -> Problem? {
    refusal(position).map { words in
      let name = name(position)
      return Problem(.unsupported, "tensor \(name.inMessage) \(words)", tensor: name)
    }
  }

  /// Finds a tensor by name.
  package func position(of name: Name) -> Int? { position(of: name.bytes.span) }

  /// Finds a tensor by name.
  func position(of name: Span<UInt8>) -> Int? { table?.position(of: name, in: names) }
}

extension Catalog {
  /// Finds the tensor whose name is `first` followed by `second`, first among those after a
  /// position.
  ///
  /// A scope's variables and the tensors are both in ascending order, so the next tensor is mostly
  /// close by: then no hash is computed, and memory is read in order.
  func position(
    of first: Span<UInt8>, _ second: Span<UInt8>, after last: Int
  ) -> Int? {
    let nearby = 4
    for position in (last + 1)..<max(last + 1, min(last + 1 + nearby, count)) {
      let found = names.span(position)
      guard found.count == first.count + second.count else { continue }
      if found.extracting(droppingFirst: first.count).equals(second),
        found.extracting(first: first.count).equals(first)
      {
        return position
      }
    }
    guard !first.isEmpty else { return self.position(of: second) }
    var name = NameList()
    name.append(first, second)
    return self.position(of: name.span(0))
  }
}
