internal import CMessages
internal import CProtobufC
package import TensorModel

/// The bytes that one variable needs.
package struct Handle: Sendable, Hashable {
  /// The position in the request's variables.
  package var variable: Int
  package var tensor: Name
  package var dtype: DataType
  package var shape: Shape
  /// Bytes from one index to the next on each axis; none for a dense array in C order.
  package var strides: ArraySlice<Int>
  /// The position among all regions of the call.
  package var region: Int
  package var offset: Int
  package var byteCount: Int
  /// Where on each axis it was cut out of the tensor; nil for all of it.
  package var starts: ArraySlice<Int>?

  package init(
    variable: Int, tensor: Name, dtype: DataType, shape: Shape, strides: ArraySlice<Int> = [],
    region: Int, offset: Int, byteCount: Int, starts: ArraySlice<Int>? = nil
  ) {
    self.variable = variable
    self.tensor = tensor
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.region = region
    self.offset = offset
    self.byteCount = byteCount
    self.starts = starts
  }
}

/// Handles in columns, as they are sent.
package struct Handles: Sendable, Hashable {
  /// Numbers for the axes of some of the handles.
  fileprivate struct Sparse: Sendable, Hashable {
    /// The positions of the handles, ascending.
    var positions: [UInt32] = []
    var numbers = ShapeColumn()

    subscript(position: Int) -> ArraySlice<Int>? {
      guard !positions.isEmpty else { return nil }
      var range = positions.indices
      while !range.isEmpty {
        let middle = range.lowerBound + range.count / 2
        if positions[middle] < position {
          range = middle + 1..<range.upperBound
        } else {
          range = range.lowerBound..<middle
        }
      }
      guard range.lowerBound < positions.count, positions[range.lowerBound] == position else {
        return nil
      }
      return numbers[range.lowerBound].lengths
    }

    mutating func append(_ other: Sparse, from start: Int) {
      for position in other.positions { positions.append(UInt32(start) + position) }
      numbers.append(other.numbers)
    }

    mutating func removeAll() {
      positions.removeAll(keepingCapacity: true)
      numbers.removeAll()
    }
  }

  package private(set) var variables: [UInt32] = []
  package private(set) var tensors = NameColumn()
  package private(set) var dtypes: [DataType] = []
  package private(set) var shapes = ShapeColumn()
  package private(set) var regions: [UInt32] = []
  package private(set) var offsets: [Int] = []
  package private(set) var byteCounts: [Int] = []
  private var strides = Sparse()
  private var starts = Sparse()

  package init() {}

  /// The number of handles.
  package var count: Int { variables.count }

  /// The bytes that they take on the wire, about.
  package var wireByteCount: Int {
    tensors.text.count + 8 * (shapes.lengths.count + strides.numbers.lengths.count)
      + 8 * starts.numbers.lengths.count + 40 * count
  }

  package subscript(position: Int) -> Handle {
    Handle(
      variable: Int(variables[position]), tensor: tensors[position], dtype: dtypes[position],
      shape: shapes[position], strides: strides(position), region: Int(regions[position]),
      offset: offsets[position], byteCount: byteCounts[position], starts: starts[position])
  }

  /// Bytes from one index to the next on each axis; none for a dense array in C order.
  package func strides(_ position: Int) -> ArraySlice<Int> { strides[position] ?? [] }

  package mutating func append(_ handle: Handle) {
    if !handle.strides.isEmpty {
      strides.positions.append(UInt32(count))
      strides.numbers.append(handle.strides)
    }
    if let starts = handle.starts {
      self.starts.positions.append(UInt32(count))
      self.starts.numbers.append(starts)
    }
    variables.append(UInt32(handle.variable))
    tensors.append(handle.tensor)
    dtypes.append(handle.dtype)
    shapes.append(handle.shape.lengths)
    regions.append(UInt32(handle.region))
    offsets.append(handle.offset)
    byteCounts.append(handle.byteCount)
  }

  package mutating func append(_ other: Handles) {
    guard count > 0 else {
      self = other
      return
    }
    strides.append(other.strides, from: count)
    starts.append(other.starts, from: count)
    variables += other.variables
    tensors.append(other.tensors)
    dtypes += other.dtypes
    shapes.append(other.shapes)
    regions += other.regions
    offsets += other.offsets
    byteCounts += other.byteCounts
  }

  /// Forgets all, but keeps the memory.
  package mutating func removeAll() {
    variables.removeAll(keepingCapacity: true)
    tensors.removeAll()
    dtypes.removeAll(keepingCapacity: true)
    shapes.removeAll()
    regions.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    byteCounts.removeAll(keepingCapacity: true)
    strides.removeAll()
    starts.removeAll()
  }
}

extension Handles {
  init(_ message: Warmstart__V1__Handles) throws(MessageError) {
    variables = unsafe column(message.variables, message.n_variables)
    let count = variables.count
    dtypes = try unsafe Messages.dtypes(message.dtypes, message.n_dtypes, of: "a handle")
    try expect(dtypes.count, count, of: "handles", "dtypes")
    tensors = try unsafe NameColumn(message.tensors, count: count, of: "handles")
    let ranks = unsafe column(message.ranks, message.n_ranks)
    try expect(ranks.count, count, of: "handles", "ranks")
    shapes = try unsafe Messages.shapes(
      column(message.lengths, message.n_lengths), ranks: ranks,
      of: "handles")
    regions = unsafe column(message.regions, message.n_regions)
    try expect(regions.count, count, of: "handles", "regions")
    offsets = unsafe column(message.offsets, message.n_offsets)
    try expect(offsets.count, count, of: "handles", "offsets")
    byteCounts = unsafe column(message.byte_counts, message.n_byte_counts)
    try expect(byteCounts.count, count, of: "handles", "byte counts")
    strides = try Sparse(
      unsafe column(message.strided, message.n_strided),
      unsafe column(message.strides, message.n_strides), ranks)
    starts = try Sparse(
      unsafe column(message.sliced, message.n_sliced),
      unsafe column(message.starts, message.n_starts), ranks)
  }

  func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__Handles> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Handles.self)
    unsafe warmstart__v1__handles__init(message)
    let dtypes = unsafe scratch.make(count, of: UInt32.self)
    let ranks = unsafe scratch.make(count, of: Int32.self)
    var start = 0
    for position in 0..<count {
      unsafe dtypes[position] = UInt32(self.dtypes[position].rawValue)
      unsafe ranks[position] = Int32(shapes.ends[position] - start)
      start = shapes.ends[position]
    }
    unsafe message.pointee.n_variables = count
    unsafe message.pointee.variables = scratch.column(variables)
    unsafe message.pointee.tensors = scratch.message(tensors)
    unsafe message.pointee.n_dtypes = count
    unsafe message.pointee.dtypes = dtypes
    unsafe message.pointee.n_ranks = count
    unsafe message.pointee.ranks = ranks
    unsafe message.pointee.n_lengths = shapes.lengths.count
    unsafe message.pointee.lengths = scratch.column(shapes.lengths)
    unsafe message.pointee.n_regions = count
    unsafe message.pointee.regions = scratch.column(regions)
    unsafe message.pointee.n_offsets = count
    unsafe message.pointee.offsets = scratch.column(offsets)
    unsafe message.pointee.n_byte_counts = count
    unsafe message.pointee.byte_counts = scratch.column(byteCounts)
    if !strides.positions.isEmpty {
      unsafe message.pointee.n_strided = strides.positions.count
      unsafe message.pointee.strided = scratch.column(strides.positions)
      unsafe message.pointee.n_strides = strides.numbers.lengths.count
      unsafe message.pointee.strides = scratch.column(strides.numbers.lengths)
    }
    if !starts.positions.isEmpty {
      unsafe message.pointee.n_sliced = starts.positions.count
      unsafe message.pointee.sliced = scratch.column(starts.positions)
      unsafe message.pointee.n_starts = starts.numbers.lengths.count
      unsafe message.pointee.starts = scratch.column(starts.numbers.lengths)
    }
    return unsafe message
  }
}

extension Handles.Sparse {
  fileprivate init(
    _ positions: [UInt32], _ numbers: [Int], _ ranks: [Int32]
  ) throws(MessageError) {
    guard !positions.isEmpty || !numbers.isEmpty else { return }
    for (before, after) in zip(positions, positions.dropFirst()) where before >= after {
      throw .malformed("positions of handles that do not ascend")
    }
    guard positions.last.map({ $0 < ranks.count }) ?? true else {
      throw .malformed("a position of no handle")
    }
    self.positions = positions
    self.numbers = try shapes(
      numbers, ranks: positions.map { ranks[Int($0)] }, of: "handles")
  }
}
