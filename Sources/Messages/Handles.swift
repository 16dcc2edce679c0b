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

/// Handles, with all their names in one buffer and all their numbers for axes in another.
package struct Handles: Sendable {
  /// A handle, with places in the buffers for what varies in length.
  private struct Record: Sendable {
    var variable: UInt32
    var region: UInt32
    var dtype: DataType
    var rank: Int
    var offset: Int
    var byteCount: Int
    var name: Range<Int>
    /// Where the lengths begin.
    var lengths: Int
    /// Where the strides begin, if there are any.
    var strides: Int?
    /// Where it is told how the slice starts, if it is one.
    var starts: Int?
  }

  private var records: [Record] = []
  private var text: [UInt8] = []
  private var axes: [Int] = []

  package init() {}

  /// The number of handles.
  package var count: Int { records.count }

  /// The bytes that they take on the wire, about.
  package var wireByteCount: Int { text.count + 8 * axes.count + 40 * count }

  package subscript(position: Int) -> Handle {
    let record = records[position]
    return Handle(
      variable: Int(record.variable), tensor: Name(text[record.name]), dtype: record.dtype,
      shape: shape(position), strides: strides(position), region: Int(record.region),
      offset: record.offset, byteCount: record.byteCount,
      starts: record.starts.map { axes[$0..<$0 + record.rank] })
  }

  /// The bytes of its region that a handle is about; nil if what it says makes no sense.
  package func extent(_ position: Int) -> Range<Int>? {
    let record = records[position]
    var byteCount = record.byteCount
    if let width = record.dtype.byteCount {
      var expected = width
      for axis in record.lengths..<record.lengths + record.rank {
        let (product, overflow) = expected.multipliedReportingOverflow(by: axes[axis])
        guard !overflow else { return nil }
        expected = product
      }
      guard expected == byteCount else { return nil }
      if let strides = record.strides, byteCount > 0 {
        // From the first element to the end of the last one.
        byteCount = width
        for axis in 0..<record.rank {
          let (step, overflow) = (axes[record.lengths + axis] - 1)
            .multipliedReportingOverflow(by: axes[strides + axis])
          let (next, overflows) = byteCount.addingReportingOverflow(step)
          guard !overflow, !overflows else { return nil }
          byteCount = next
        }
      }
    }
    let (end, overflow) = record.offset.addingReportingOverflow(byteCount)
    return overflow ? nil : record.offset..<end
  }

  // MARK: One handle's fields, without making the others

  package func variable(_ position: Int) -> Int { Int(records[position].variable) }
  package func region(_ position: Int) -> Int { Int(records[position].region) }

  private func shape(_ position: Int) -> Shape {
    let record = records[position]
    return Shape(axes[record.lengths..<record.lengths + record.rank])
  }

  private func strides(_ position: Int) -> ArraySlice<Int> {
    let record = records[position]
    guard let strides = record.strides else { return [] }
    return axes[strides..<strides + record.rank]
  }

  // MARK: Gathering

  /// Adds a handle, whose strides and starts, if any, are as many as its axes.
  package mutating func append(_ handle: Handle) {
    let nameStart = text.count
    text += handle.tensor.bytes
    let lengths = axes.count
    axes += handle.shape.lengths
    var strides: Int?
    if !handle.strides.isEmpty {
      strides = axes.count
      axes += handle.strides
    }
    var starts: Int?
    if let handleStarts = handle.starts {
      starts = axes.count
      axes += handleStarts
    }
    records.append(
      Record(
        variable: UInt32(handle.variable), region: UInt32(handle.region), dtype: handle.dtype,
        rank: handle.shape.rank, offset: handle.offset, byteCount: handle.byteCount,
        name: nameStart..<text.count, lengths: lengths, strides: strides, starts: starts))
  }

  /// Adds the handles of the next reply to a call.
  package mutating func append(_ other: consuming Handles) {
    guard count > 0 else {
      self = other
      return
    }
    let (textStart, axesStart) = (text.count, axes.count)
    text += other.text
    axes += other.axes
    records.reserveCapacity(count + other.count)
    for var record in other.records {
      record.name = record.name.lowerBound + textStart..<record.name.upperBound + textStart
      record.lengths += axesStart
      record.strides = record.strides.map { $0 + axesStart }
      record.starts = record.starts.map { $0 + axesStart }
      records.append(record)
    }
  }

  /// Forgets all, but keeps the memory.
  package mutating func removeAll() {
    records.removeAll(keepingCapacity: true)
    text.removeAll(keepingCapacity: true)
    axes.removeAll(keepingCapacity: true)
  }
}

// MARK: - Columns on the wire

extension Handles {
  init(_ message: Warmstart__V1__Handles) throws(MessageError) {
    let count = unsafe message.n_variables
    let names = unsafe message.tensors?.pointee
    for (length, column) in unsafe [
      (names?.n_lengths ?? 0, "names"), (message.n_dtypes, "dtypes"), (message.n_ranks, "ranks"),
      (message.n_regions, "regions"), (message.n_offsets, "offsets"),
      (message.n_byte_counts, "byte counts"),
    ] { try expect(length, count, of: "handles", column) }
    guard count > 0, let names = unsafe names else { return }
    text = unsafe column(names.text.data, names.text.len)
    axes.reserveCapacity(
      unsafe message.n_lengths + message.n_strides + message.n_starts)
    for index in 0..<(unsafe message.n_lengths) {
      axes.append(Int(clamping: unsafe message.lengths[index]))
    }
    records.reserveCapacity(count)
    var nameStart = 0
    var lengths = 0
    for index in 0..<count {
      let nameEnd = nameStart + Int(unsafe names.lengths[index])
      let rank = Int(unsafe message.ranks[index])
      guard nameEnd <= text.count, rank >= 0, rank <= axes.count - lengths else {
        throw .malformed("handles that have more names or axes than came")
      }
      guard let dtype = DataType(rawValue: Int32(truncatingIfNeeded: unsafe message.dtypes[index]))
      else { throw .malformed("a handle of dtype \(unsafe message.dtypes[index])") }
      records.append(
        Record(
          variable: unsafe message.variables[index], region: unsafe message.regions[index],
          dtype: dtype, rank: rank, offset: Int(clamping: unsafe message.offsets[index]),
          byteCount: Int(clamping: unsafe message.byte_counts[index]), name: nameStart..<nameEnd,
          lengths: lengths))
      nameStart = nameEnd
      lengths += rank
    }
    guard nameStart == text.count, lengths == axes.count else {
      throw .malformed("handles that have fewer names or axes than came")
    }
    try unsafe take(
      \.strides, message.strided, message.n_strided, message.strides, message.n_strides)
    try unsafe take(\.starts, message.sliced, message.n_sliced, message.starts, message.n_starts)
  }

  /// Takes numbers for the axes of some of the handles.
  private mutating func take(
    _ place: WritableKeyPath<Record, Int?>, _ positions: UnsafeMutablePointer<UInt32>?,
    _ positionCount: Int, _ numbers: UnsafeMutablePointer<UInt64>?, _ count: Int
  ) throws(MessageError) {
    guard positionCount > 0 || count > 0 else { return }
    let numbers: [Int] = unsafe column(numbers, count)
    var next = axes.count
    axes += numbers
    var last = -1
    for position in unsafe column(positions, positionCount) {
      let position = Int(position)
      guard position > last, position < records.count else {
        throw .malformed("positions of handles that do not ascend, or of none")
      }
      guard records[position].rank <= axes.count - next else {
        throw .malformed("handles that have more strides or starts than came")
      }
      records[position][keyPath: place] = next
      next += records[position].rank
      last = position
    }
    guard next == axes.count else {
      throw .malformed("handles that have fewer strides or starts than came")
    }
  }

  func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__Handles> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Handles.self)
    unsafe warmstart__v1__handles__init(message)
    unsafe message.pointee.tensors = scratch.names(count) { Name(text[records[$0].name]) }
    unsafe message.pointee.variables = scratch.make(count)
    unsafe message.pointee.dtypes = scratch.make(count)
    unsafe message.pointee.ranks = scratch.make(count)
    unsafe message.pointee.regions = scratch.make(count)
    unsafe message.pointee.offsets = scratch.make(count)
    unsafe message.pointee.byte_counts = scratch.make(count)
    var lengthCount = 0
    for (position, record) in records.enumerated() {
      unsafe message.pointee.variables[position] = record.variable
      unsafe message.pointee.dtypes[position] = UInt32(record.dtype.rawValue)
      unsafe message.pointee.ranks[position] = Int32(record.rank)
      unsafe message.pointee.regions[position] = record.region
      unsafe message.pointee.offsets[position] = UInt64(record.offset)
      unsafe message.pointee.byte_counts[position] = UInt64(record.byteCount)
      lengthCount += record.rank
    }
    unsafe message.pointee.n_variables = count
    unsafe message.pointee.n_dtypes = count
    unsafe message.pointee.n_ranks = count
    unsafe message.pointee.n_regions = count
    unsafe message.pointee.n_offsets = count
    unsafe message.pointee.n_byte_counts = count
    unsafe message.pointee.n_lengths = lengthCount
    unsafe message.pointee.lengths = scratch.make(lengthCount)
    var next = 0
    for record in records {
      for axis in record.lengths..<record.lengths + record.rank {
        unsafe message.pointee.lengths[next] = UInt64(axes[axis])
        next += 1
      }
    }
    let strided = sparse { $0.strides }
    unsafe message.pointee.n_strided = strided.positions.count
    unsafe message.pointee.strided = scratch.column(strided.positions)
    unsafe message.pointee.n_strides = strided.numbers.count
    unsafe message.pointee.strides = scratch.column(strided.numbers)
    let sliced = sparse { $0.starts }
    unsafe message.pointee.n_sliced = sliced.positions.count
    unsafe message.pointee.sliced = scratch.column(sliced.positions)
    unsafe message.pointee.n_starts = sliced.numbers.count
    unsafe message.pointee.starts = scratch.column(sliced.numbers)
    return unsafe message
  }

  private func sparse(_ place: (Record) -> Int?) -> (positions: [UInt32], numbers: [Int]) {
    var positions: [UInt32] = []
    var numbers: [Int] = []
    for (position, record) in records.enumerated() {
      guard let start = place(record) else { continue }
      positions.append(UInt32(position))
      numbers += axes[start..<start + record.rank]
    }
    return (positions, numbers)
  }
}
