package import WarmstartProtobuf
package import WarmstartTensorModel

/// The bytes that one variable needs.
package struct Handle: Sendable, Hashable {
  /// The position in the request's variables.
  package var variable: Int
  /// Empty if it has the variable's name.
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

/// The handles of all replies to a call, read where they lie in the replies' bytes.
///
/// Nothing is unpacked until somebody asks: 100,000 handles are a few allocations.
package struct Handles: Sendable {
  /// What one reply brought.
  private struct Part: Sendable {
    /// The position of its first handle among all.
    var first = 0
    let columns: HandleColumns
  }

  private var parts: [Part] = []
  /// The number of handles.
  package private(set) var count = 0
  /// Whether they only say what would be assigned: all are at the start of region 0.
  let isPlan: Bool

  package init(isPlan: Bool = false) {
    self.isPlan = isPlan
  }

  package subscript(position: Int) -> Handle {
    let part = part(of: position)
    return part.columns.handle(position - part.first)
  }

  /// The position in the request of a handle's variable.
  package func variable(_ position: Int) -> Int {
    let part = part(of: position)
    return part.columns.variable(position - part.first)
  }

  /// Adds the handles of the next reply to a call.
  mutating func append(_ columns: HandleColumns) {
    guard columns.count > 0 else { return }
    parts.append(Part(first: count, columns: columns))
    count += columns.count
  }

  /// Checks all handles; returns which run of each region they need.
  ///
  /// Throws for a variable or a region that is none, and for bytes that are not those of a shape.
  package func extents(
    variableCount: Int, regionCount: Int
  ) throws(MessageError) -> [Range<Int>] {
    var extents = [Range<Int>](repeating: 0..<0, count: regionCount)
    for index in parts.indices {
      try parts[index].columns.check(variableCount: variableCount, &extents)
    }
    return extents
  }

  private func part(of position: Int) -> Part {
    precondition(position >= 0 && position < count)
    if parts.count == 1 { return parts[0] }
    // The last that begins no later.
    var range = parts.indices
    while range.count > 1 {
      let middle = range.lowerBound + range.count / 2
      if parts[middle].first <= position {
        range = middle..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    return parts[range.lowerBound]
  }
}

/// The message `Handles` of one reply, checked to fit together.
struct HandleColumns: Sendable {
  /// Where names and axes begin is kept of every so manieth handle, and summed up from there.
  private static let stride = 32

  /// A packed field: where it begins in the bytes, and how many elements it has.
  private struct Column: Sendable {
    var start = 0
    var count = 0

    init() {}

    init(_ range: Range<Int>, of width: Int) throws(MessageError) {
      guard range.count % width == 0 else {
        throw .malformed("handles: a column of \(range.count) bytes, each of \(width)")
      }
      start = range.lowerBound
      count = range.count / width
    }
  }

  /// Numbers for the axes of some of the handles, whose positions ascend.
  private struct AxisColumn: Sendable {
    var positions = Column()
    var numbers = Column()
  }

  private let bytes: [UInt8]
  /// Whether the handles have no regions and no offsets.
  private let isPlan: Bool
  private var variables = Column()
  private var text = Column()
  private var nameLengths = Column()
  private var dtypes = Column()
  private var ranks = Column()
  private var lengths = Column()
  private var regions = Column()
  private var offsets = Column()
  private var byteCounts = Column()
  private var strides = AxisColumn()
  private var starts = AxisColumn()
  /// Where the text and the axes of each `stride`th handle begin, after the first.
  private var landmarks: [(text: Int, axis: Int)] = []

  /// The number of handles.
  var count: Int { variables.count }

  /// Reads the message that is all of the bytes; each column must be one packed field.
  init(_ message: RawSpan, isPlan: Bool = false) throws(MessageError) {
    let bytes = unsafe message.withUnsafeBytes { unsafe Array($0) }
    self.bytes = bytes
    self.isPlan = isPlan
    var reader = FieldReader(bytes.span)
    while let field = try reader.next() {
      guard case .bytes(let range) = field.value else { continue }
      switch field.number {
      case 1: variables = try Column(range, of: 4)
      case 2:
        var names = FieldReader(bytes.span.extracting(range), at: range.lowerBound)
        while let field = try names.next() {
          switch (field.number, field.value) {
          case (1, .bytes(let range)): text = try Column(range, of: 1)
          case (2, .bytes(let range)): nameLengths = try Column(range, of: 4)
          default: break
          }
        }
      case 3: dtypes = try Column(range, of: 4)
      case 4: ranks = try Column(range, of: 4)
      case 5: lengths = try Column(range, of: 8)
      case 6: regions = try Column(range, of: 4)
      case 7: offsets = try Column(range, of: 8)
      case 8: byteCounts = try Column(range, of: 8)
      case 9: strides.positions = try Column(range, of: 4)
      case 10: strides.numbers = try Column(range, of: 8)
      case 11: starts.positions = try Column(range, of: 4)
      case 12: starts.numbers = try Column(range, of: 8)
      default: break
      }
    }
    try check()
  }

  // MARK: Checks

  private mutating func check() throws(MessageError) {
    try expect(nameLengths.count, count, of: "handles", "names")
    try expect(dtypes.count, count, of: "handles", "dtypes")
    try expect(ranks.count, count, of: "handles", "ranks")
    let placeCount = isPlan ? 0 : count
    try expect(regions.count, placeCount, of: "handles", "regions")
    try expect(offsets.count, placeCount, of: "handles", "offsets")
    try expect(byteCounts.count, count, of: "handles", "byte counts")
    var landmarks: [(text: Int, axis: Int)] = []
    let (nameEnd, axis) = try unsafe bytes.span.withUnsafeBytes { bytes throws(MessageError) in
      let view = unsafe View(bytes: bytes)
      var (nameEnd, axis) = (0, 0)
      var known: UInt32?
      for position in 0..<count {
        if position % HandleColumns.stride == 0, position > 0 { landmarks.append((nameEnd, axis)) }
        let dtype = view.word(dtypes, position)
        guard dtype == known || DataType(rawValue: Int32(bitPattern: dtype)) != nil else {
          throw .malformed("a handle of dtype \(dtype)")
        }
        known = dtype
        let rank = Int(Int32(bitPattern: view.word(ranks, position)))
        guard rank >= 0 else { throw .malformed("handles of ranks below 0") }
        nameEnd += Int(view.word(nameLengths, position))
        axis += rank
      }
      return (nameEnd, axis)
    }
    self.landmarks = landmarks
    guard nameEnd == text.count else {
      throw .malformed("handles whose names' lengths are not those of their text")
    }
    guard axis == lengths.count else {
      throw .malformed("handles whose ranks are not those of \(lengths.count) axes")
    }
    try check(strides)
    try check(starts)
  }

  private func check(_ column: AxisColumn) throws(MessageError) {
    var last = -1
    var axis = 0
    for place in 0..<column.positions.count {
      let position = Int(word(column.positions, place))
      guard position > last, position < count else {
        throw .malformed("positions of handles that do not ascend, or of none")
      }
      axis += rank(position)
      last = position
    }
    guard axis == column.numbers.count else {
      throw .malformed("handles whose ranks are not those of \(column.numbers.count) axes")
    }
  }

  /// Checks each handle, and widens the run of its region that is needed.
  func check(variableCount: Int, _ extents: inout [Range<Int>]) throws(MessageError) {
    try unsafe bytes.span.withUnsafeBytes { bytes throws(MessageError) in
      let view = unsafe View(bytes: bytes)
      var axis = 0
      var strided = 0
      var step = 0
      // The run of the region that handles are in just now: mostly they all are in one.
      var (current, known) = (-1, 0..<0)
      // The dtype of the handles just now, and its elements' width.
      var (dtype, width): (UInt32, Int?) = (0, nil)
      for position in 0..<count {
        let variable = Int(view.word(variables, position))
        let region = isPlan ? 0 : Int(view.word(regions, position))
        guard variable < variableCount, region < extents.count else {
          throw .malformed("a handle for variable \(variable) in region \(region)")
        }
        let axes = axis..<axis + Int(view.word(ranks, position))
        axis = axes.upperBound
        var steps: Int?
        if strided < strides.positions.count, view.word(strides.positions, strided) == position {
          steps = step
          strided += 1
          step += axes.count
        }
        let number = view.word(dtypes, position)
        if number != dtype {
          (dtype, width) = (number, DataType(rawValue: Int32(bitPattern: number))?.byteCount)
        }
        guard let extent = extent(position, width, axes, steps, in: view) else {
          throw .malformed(
            "a handle whose bytes are not those of its shape: \(handle(position))")
        }
        guard !extent.isEmpty else { continue }
        if region != current {
          if current >= 0 { extents[current] = known }
          (current, known) = (region, extents[region])
        }
        known =
          known.isEmpty
          ? extent
          : min(known.lowerBound, extent.lowerBound)..<max(known.upperBound, extent.upperBound)
      }
      if current >= 0 { extents[current] = known }
    }
  }

  /// The bytes of its region that a handle is about; nil if what it says makes no sense.
  ///
  /// Strings' elements have no width.
  @inline(__always)
  private func extent(
    _ position: Int, _ width: Int?, _ axes: Range<Int>, _ steps: Int?, in view: View
  ) -> Range<Int>? {
    var byteCount = view.number(byteCounts, position)
    if let width {
      var expected = width
      for axis in axes {
        let (product, overflow) = expected.multipliedReportingOverflow(
          by: view.number(lengths, axis))
        guard !overflow else { return nil }
        expected = product
      }
      guard expected == byteCount else { return nil }
      if let steps, byteCount > 0 {
        // From the first element to the end of the last one.
        byteCount = width
        for axis in axes {
          let (distance, overflow) = (view.number(lengths, axis) - 1)
            .multipliedReportingOverflow(
              by: view.number(strides.numbers, steps + axis - axes.lowerBound))
          let (next, overflows) = byteCount.addingReportingOverflow(distance)
          guard !overflow, !overflows else { return nil }
          byteCount = next
        }
      }
    }
    let start = isPlan ? 0 : view.number(offsets, position)
    let (end, overflow) = start.addingReportingOverflow(byteCount)
    return overflow ? nil : start..<end
  }

  // MARK: One handle

  func handle(_ position: Int) -> Handle {
    let landmark = position / HandleColumns.stride
    var (name, axis) = landmark == 0 ? (0, 0) : landmarks[landmark - 1]
    for earlier in landmark * HandleColumns.stride..<position {
      name += Int(word(nameLengths, earlier))
      axis += rank(earlier)
    }
    let nameStart = text.start + name
    let nameByteCount = Int(word(nameLengths, position))
    guard let dtype = dtype(position) else { preconditionFailure("checked before") }
    return Handle(
      variable: variable(position), tensor: Name(bytes[nameStart..<nameStart + nameByteCount]),
      dtype: dtype, shape: Shape((axis..<axis + rank(position)).map { number(lengths, $0) }),
      strides: numbers(strides, position)?[...] ?? [],
      region: isPlan ? 0 : Int(word(regions, position)),
      offset: isPlan ? 0 : number(offsets, position), byteCount: number(byteCounts, position),
      starts: numbers(starts, position)?[...])
  }

  func variable(_ position: Int) -> Int { Int(word(variables, position)) }

  private func rank(_ position: Int) -> Int { Int(word(ranks, position)) }

  private func dtype(_ position: Int) -> DataType? {
    DataType(rawValue: Int32(bitPattern: word(dtypes, position)))
  }

  /// The numbers for a handle's axes, if it is one that has some.
  private func numbers(_ column: AxisColumn, _ position: Int) -> [Int]? {
    var axis = 0
    for place in 0..<column.positions.count {
      let other = Int(word(column.positions, place))
      if other == position {
        return (axis..<axis + rank(position)).map { number(column.numbers, $0) }
      }
      guard other < position else { return nil }
      axis += rank(other)
    }
    return nil
  }

  @inline(__always)
  private func word(_ column: Column, _ index: Int) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe View(bytes: $0).word(column, index) }
  }

  @inline(__always)
  private func number(_ column: Column, _ index: Int) -> Int {
    unsafe bytes.withUnsafeBytes { unsafe View(bytes: $0).number(column, index) }
  }

  /// The bytes, while they are looked at many times.
  @safe
  private struct View {
    private let bytes: UnsafeRawBufferPointer

    init(bytes: UnsafeRawBufferPointer) {
      unsafe self.bytes = bytes
    }

    @inline(__always)
    func word(_ column: Column, _ index: Int) -> UInt32 {
      precondition(index >= 0 && index < column.count)
      // A column lies in the bytes whole.
      return unsafe bytes.loadUnaligned(
        fromByteOffset: column.start &+ index &* 4, as: UInt32.self)
    }

    /// A number of 64 bits; what no `Int` can be becomes the largest one.
    @inline(__always)
    func number(_ column: Column, _ index: Int) -> Int {
      precondition(index >= 0 && index < column.count)
      // A column lies in the bytes whole.
      return Int(
        clamping: unsafe bytes.loadUnaligned(
          fromByteOffset: column.start &+ index &* 8, as: UInt64.self))
    }
  }
}

// MARK: - Sending

/// Handles that are to be sent, of tensors of one catalog.
package struct OutgoingHandles: Sendable {
  private let catalog: Catalog
  /// Whether they say only what would be assigned, without regions and offsets.
  private let isPlan: Bool
  private var variables: [UInt32] = []
  private var tensors: [Int32] = []
  /// Whether a tensor is not called as its variable.
  private var isNamed: [Bool] = []
  private var regions: [UInt32] = []
  private var offsets: [Int] = []
  private var byteCounts: [Int] = []
  private var strided: [UInt32] = []
  private var strides: [Int] = []
  private var sliced: [UInt32] = []
  private var slices: [TensorSlice] = []
  /// The positions of those that are made of chosen rows or columns, and their shapes.
  private var gathered: [(position: Int, lengths: [Int])] = []
  private var axisCount = 0
  private var textByteCount = 0

  package init(of catalog: Catalog, isPlan: Bool = false) {
    self.catalog = catalog
    self.isPlan = isPlan
  }

  /// The number of handles.
  package var count: Int { variables.count }

  /// The bytes that they take on the wire, about.
  package var wireByteCount: Int {
    textByteCount + 8 * (axisCount + strides.count) + 40 * count + 16 * sliced.count
  }

  /// Adds a handle of a tensor, or of a slice or a gather of it; a tensor with its variable's name is
  /// not named.
  ///
  /// The strides, if there are any, must be as many as the tensor's axes.
  package mutating func append(
    variable: Int, _ tensor: Int, isNamed: Bool, _ slice: TensorSlice?, gather: Gather? = nil,
    region: Int, offset: Int, byteCount: Int, strides: [Int] = []
  ) {
    if !strides.isEmpty {
      strided.append(UInt32(count))
      self.strides += strides
    }
    if let slice {
      sliced.append(UInt32(count))
      slices.append(slice)
    }
    if let gather { gathered.append((count, gather.lengths(from: catalog.lengths(tensor)))) }
    axisCount += catalog.lengths(tensor).count
    if isNamed { textByteCount += catalog.nameBytes(tensor).count }
    self.isNamed.append(isNamed)
    variables.append(UInt32(variable))
    tensors.append(Int32(tensor))
    regions.append(UInt32(region))
    offsets.append(offset)
    byteCounts.append(byteCount)
  }

  /// Forgets all, but keeps the memory.
  package mutating func removeAll() {
    variables.removeAll(keepingCapacity: true)
    tensors.removeAll(keepingCapacity: true)
    isNamed.removeAll(keepingCapacity: true)
    regions.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    byteCounts.removeAll(keepingCapacity: true)
    strided.removeAll(keepingCapacity: true)
    strides.removeAll(keepingCapacity: true)
    sliced.removeAll(keepingCapacity: true)
    slices.removeAll(keepingCapacity: true)
    gathered = []
    axisCount = 0
    textByteCount = 0
  }

  /// Puts the fields of the message in front.
  func prepend(to frame: inout FieldWriter) {
    let starts = slices.flatMap(\.starts)
    let lengths = lengths()
    frame.prepend(field: 12, column: starts.span)
    frame.prepend(field: 11, column: sliced.span)
    frame.prepend(field: 10, column: strides.span)
    frame.prepend(field: 9, column: strided.span)
    frame.prepend(field: 8, column: byteCounts.span)
    if !isPlan {
      frame.prepend(field: 7, column: offsets.span)
      frame.prepend(field: 6, column: regions.span)
    }
    frame.prepend(field: 5, column: lengths.span)
    frame.prepend(field: 4, count: count) { Int32(catalog.lengths(Int(tensors[$0])).count) }
    frame.prepend(field: 3, count: count) { catalog.dtype(Int(tensors[$0])).rawValue }
    frame.prepend(field: 2, names: count) { position, body in
      body(isNamed[position] ? catalog.nameBytes(Int(tensors[position])) : Span())
    }
    frame.prepend(field: 1, column: variables.span)
  }

  private func lengths() -> [Int] {
    var all: [Int] = []
    all.reserveCapacity(axisCount)
    var (slice, gather) = (0, 0)
    for position in tensors.indices {
      if slice < sliced.count, sliced[slice] == position {
        all += slices[slice].counts
        slice += 1
      } else if gather < gathered.count, gathered[gather].position == position {
        all += gathered[gather].lengths
        gather += 1
      } else {
        let lengths = catalog.lengths(Int(tensors[position]))
        for axis in lengths.indices { all.append(lengths[axis]) }
      }
    }
    return all
  }
}
