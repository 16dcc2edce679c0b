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

/// Handles in columns, as they are on the wire: 100,000 of them are a dozen allocations.
package struct Handles: Sendable {
  /// Numbers for the axes of some of the handles.
  private struct AxisColumn: Sendable {
    /// The handles' positions, ascending.
    var positions: [UInt32] = []
    /// The numbers, by place among the positions.
    var numbers = ShapeList()

    mutating func append(_ position: Int, _ numbers: Span<Int>) {
      positions.append(UInt32(position))
      self.numbers.append(numbers)
    }

    mutating func append(_ other: borrowing AxisColumn, shiftedBy shift: Int) {
      positions += other.positions.map { $0 + UInt32(shift) }
      numbers.append(other.numbers)
    }

    subscript(position: Int) -> ArraySlice<Int>? {
      let place = positions.place(of: UInt32(position))
      return place.map { numbers[$0].lengths }
    }

    mutating func removeAll() {
      positions.removeAll(keepingCapacity: true)
      numbers.removeAll()
    }
  }

  private var variables: [UInt32] = []
  private var regions: [UInt32] = []
  private var dtypes: [DataType] = []
  private var offsets: [Int] = []
  private var byteCounts: [Int] = []
  private var tensors = NameList()
  private var shapes = ShapeList()
  private var strides = AxisColumn()
  private var starts = AxisColumn()

  package init() {}

  /// The number of handles.
  package var count: Int { variables.count }

  /// The bytes that they take on the wire, about.
  package var wireByteCount: Int {
    tensors.bytes.count + 40 * count
      + 8 * (shapes.lengths.count + strides.numbers.lengths.count + starts.numbers.lengths.count)
  }

  package subscript(position: Int) -> Handle {
    Handle(
      variable: variable(position), tensor: tensors[position], dtype: dtypes[position],
      shape: shapes[position], strides: strides[position] ?? [], region: region(position),
      offset: offsets[position], byteCount: byteCounts[position], starts: starts[position])
  }

  /// The bytes of its region that a handle is about; nil if what it says makes no sense.
  package func extent(_ position: Int) -> Range<Int>? {
    var byteCount = byteCounts[position]
    if let width = dtypes[position].byteCount {
      let lengths = shapes.range(position)
      var expected = width
      for axis in lengths {
        let (product, overflow) = expected.multipliedReportingOverflow(by: shapes.lengths[axis])
        guard !overflow else { return nil }
        expected = product
      }
      guard expected == byteCount else { return nil }
      if byteCount > 0, !strides.positions.isEmpty, let steps = strides[position] {
        // From the first element to the end of the last one.
        byteCount = width
        for (length, step) in zip(shapes.lengths[lengths], steps) {
          let (distance, overflow) = (length - 1).multipliedReportingOverflow(by: step)
          let (next, overflows) = byteCount.addingReportingOverflow(distance)
          guard !overflow, !overflows else { return nil }
          byteCount = next
        }
      }
    }
    let (end, overflow) = offsets[position].addingReportingOverflow(byteCount)
    return overflow ? nil : offsets[position]..<end
  }

  // MARK: One handle's fields, without making the others

  package func variable(_ position: Int) -> Int { Int(variables[position]) }
  package func region(_ position: Int) -> Int { Int(regions[position]) }

  // MARK: Gathering

  /// Adds a handle of a tensor in a catalog, or of a slice of it.
  ///
  /// The strides, if there are any, must be as many as the tensor's axes.
  package mutating func append(
    variable: Int, _ tensor: Int, _ slice: Slice?, in catalog: borrowing Catalog,
    region: Int, offset: Int, byteCount: Int, strides: [Int]
  ) {
    if !strides.isEmpty { self.strides.append(count, strides.span) }
    if let slice {
      starts.append(count, slice.starts.span)
      shapes.append(slice.counts.span)
    } else {
      shapes.append(catalog.lengths(tensor))
    }
    variables.append(UInt32(variable))
    regions.append(UInt32(region))
    dtypes.append(catalog.dtype(tensor))
    offsets.append(offset)
    byteCounts.append(byteCount)
    tensors.append(catalog.nameBytes(tensor))
  }

  /// Adds a handle, whose strides and starts, if any, are as many as its axes.
  package mutating func append(_ handle: Handle) {
    if !handle.strides.isEmpty { strides.append(count, handle.strides.span) }
    if let handleStarts = handle.starts { starts.append(count, handleStarts.span) }
    variables.append(UInt32(handle.variable))
    regions.append(UInt32(handle.region))
    dtypes.append(handle.dtype)
    offsets.append(handle.offset)
    byteCounts.append(handle.byteCount)
    tensors.append(handle.tensor)
    shapes.append(handle.shape)
  }

  /// Adds the handles of the next reply to a call.
  package mutating func append(_ other: consuming Handles) {
    guard count > 0 else {
      self = other
      return
    }
    strides.append(other.strides, shiftedBy: count)
    starts.append(other.starts, shiftedBy: count)
    variables += other.variables
    regions += other.regions
    dtypes += other.dtypes
    offsets += other.offsets
    byteCounts += other.byteCounts
    tensors.append(other.tensors)
    shapes.append(other.shapes)
  }

  /// Forgets all, but keeps the memory.
  package mutating func removeAll() {
    variables.removeAll(keepingCapacity: true)
    regions.removeAll(keepingCapacity: true)
    dtypes.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    byteCounts.removeAll(keepingCapacity: true)
    tensors.removeAll()
    shapes.removeAll()
    strides.removeAll()
    starts.removeAll()
  }
}

extension [UInt32] {
  /// Where a number is among ascending ones; nil if it is not there.
  fileprivate func place(of number: UInt32) -> Int? {
    var range = indices
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if self[middle] == number { return middle }
      if self[middle] < number {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    return nil
  }
}

// MARK: - Columns on the wire

extension Handles {
  init(_ message: Warmstart__V1__Handles) throws(MessageError) {
    let count = unsafe message.n_variables
    for (length, column) in unsafe [
      (message.n_ranks, "ranks"), (message.n_regions, "regions"), (message.n_offsets, "offsets"),
      (message.n_byte_counts, "byte counts"), (message.n_dtypes, "dtypes"),
    ] { try expect(length, count, of: "handles", column) }
    variables = unsafe column(message.variables, count)
    regions = unsafe column(message.regions, count)
    dtypes = unsafe try Messages.dtypes(message.dtypes, count, of: "handles")
    offsets = unsafe column(message.offsets, count)
    byteCounts = unsafe column(message.byte_counts, count)
    tensors = unsafe try NameList(message.tensors, count: count, of: "handles")
    let lengths: [Int] = unsafe column(message.lengths, message.n_lengths)
    let ranks = unsafe column(message.ranks, count)
    shapes = try Messages.shapes(lengths, ranks: ranks, of: "handles")
    strides = unsafe try axes(
      column(message.strided, message.n_strided), column(message.strides, message.n_strides))
    starts = unsafe try axes(
      column(message.sliced, message.n_sliced), column(message.starts, message.n_starts))
  }

  /// Takes numbers for the axes of some of the handles.
  private func axes(
    _ positions: [UInt32], _ numbers: [Int]
  ) throws(MessageError) -> AxisColumn {
    var ranks: [Int32] = []
    var last = -1
    for position in positions {
      let position = Int(position)
      guard position > last, position < count else {
        throw .malformed("positions of handles that do not ascend, or of none")
      }
      ranks.append(Int32(shapes.range(position).count))
      last = position
    }
    let numbers = try Messages.shapes(numbers, ranks: ranks, of: "handles")
    return AxisColumn(positions: positions, numbers: numbers)
  }

  func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__Handles> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Handles.self)
    unsafe warmstart__v1__handles__init(message)
    let dtypes = unsafe scratch.make(count, of: UInt32.self)
    let ranks = unsafe scratch.make(count, of: Int32.self)
    for position in 0..<count {
      unsafe dtypes[position] = UInt32(self.dtypes[position].rawValue)
      unsafe ranks[position] = Int32(shapes.range(position).count)
    }
    unsafe message.pointee.tensors = scratch.message(tensors)
    unsafe message.pointee.n_variables = count
    unsafe message.pointee.variables = scratch.column(variables)
    unsafe message.pointee.n_dtypes = count
    unsafe message.pointee.dtypes = dtypes
    unsafe message.pointee.n_ranks = count
    unsafe message.pointee.ranks = ranks
    unsafe message.pointee.n_regions = count
    unsafe message.pointee.regions = scratch.column(regions)
    unsafe message.pointee.n_offsets = count
    unsafe message.pointee.offsets = scratch.column(offsets)
    unsafe message.pointee.n_byte_counts = count
    unsafe message.pointee.byte_counts = scratch.column(byteCounts)
    unsafe message.pointee.n_lengths = shapes.lengths.count
    unsafe message.pointee.lengths = scratch.column(shapes.lengths)
    unsafe message.pointee.n_strided = strides.positions.count
    unsafe message.pointee.strided = scratch.column(strides.positions)
    unsafe message.pointee.n_strides = strides.numbers.lengths.count
    unsafe message.pointee.strides = scratch.column(strides.numbers.lengths)
    unsafe message.pointee.n_sliced = starts.positions.count
    unsafe message.pointee.sliced = scratch.column(starts.positions)
    unsafe message.pointee.n_starts = starts.numbers.lengths.count
    unsafe message.pointee.starts = scratch.column(starts.numbers.lengths)
    return unsafe message
  }
}
