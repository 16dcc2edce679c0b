import WarmstartProtobuf
import WarmstartTensorModel

/// The message `Handles` from one reply, checked to fit together and then read where it lies.
///
/// A column is a packed field with one element for each handle; the columns of lengths, strides and
/// starts have one for each axis of each handle that has them. Where a handle's name and axes begin
/// is the sum of all lengths and ranks before it. Landmarks keep these sums for every 32nd handle,
/// so that reading one handle adds up 31 numbers at most, and positions of strides and starts,
/// which ascend, are found by halving.
struct HandleColumns: Sendable {
  /// How many handles there are from one landmark to the next; chosen, not tuned.
  private static let landmarkDistance = 32

  /// A packed field: where it begins in the bytes, and how many elements it has.
  ///
  /// The numbers are small, because an answer has fourteen columns that are copied into it.
  struct Column: Sendable {
    private var first: Int32 = 0
    private var elementCount: Int32 = 0

    var start: Int { Int(first) }
    var count: Int { Int(elementCount) }

    init() {}

    @inline(__always)
    init(_ range: Range<Int>, width: Int) throws(MessageError) {
      guard range.count % width == 0, let first = Int32(exactly: range.lowerBound),
        let elementCount = Int32(exactly: range.count / width)
      else { throw Column.odd(range, width) }
      self.first = first
      self.elementCount = elementCount
    }

    private static func odd(_ range: Range<Int>, _ width: Int) -> MessageError {
      .malformed("handles: a column of \(range.count) bytes, expected a multiple of \(width)")
    }
  }

  /// Numbers for the axes of some of the handles, whose positions ascend.
  private struct AxisColumn: Sendable {
    var positions = Column()
    var numbers = Column()
  }

  /// Where a handle's name and axes begin.
  private struct Landmark: Sendable {
    var text = 0
    var axis = 0
  }

  /// The landmarks of all handles, of those with strides and of those with starts.
  private final class Landmarks: Sendable {
    /// For every 32nd handle, after the first.
    let handles: [Landmark]
    /// Where the numbers begin for every 32nd of the handles that have them, after the first.
    let strides: [Int]
    let starts: [Int]

    init(_ handles: [Landmark], strides: [Int], starts: [Int]) {
      self.handles = handles
      self.strides = strides
      self.starts = starts
    }
  }

  private var bytes: [UInt8] = []
  /// Whether the handles have no regions and no offsets.
  private var isPlan = false
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
  /// nil for a few handles.
  private var landmarks: Landmarks?

  /// The number of handles.
  var count: Int { variables.count }

  /// No handles.
  init() {}

  /// Reads the message that is all of the bytes.
  ///
  /// Throws unless each column is one packed field and all fit together.
  ///
  /// To be called once. A value that throws is to be thrown away.
  mutating func read(_ message: RawSpan, isPlan: Bool) throws(MessageError) {
    let bytes = unsafe message.withUnsafeBytes { unsafe Array($0) }
    self.bytes = bytes
    self.isPlan = isPlan
    var reader = FieldReader(bytes.span)
    while let field = try reader.next() {
      guard case .bytes(let range) = field.value else { continue }
      switch field.number {
      case 1: variables = try Column(range, width: 4)
      case 2:
        var names = FieldReader(bytes.span.extracting(range), at: range.lowerBound)
        while let field = try names.next() {
          switch (field.number, field.value) {
          case (1, .bytes(let range)): text = try Column(range, width: 1)
          case (2, .bytes(let range)): nameLengths = try Column(range, width: 4)
          default: break
          }
        }
      case 3: dtypes = try Column(range, width: 4)
      case 4: ranks = try Column(range, width: 4)
      case 5: lengths = try Column(range, width: 8)
      case 6: regions = try Column(range, width: 4)
      case 7: offsets = try Column(range, width: 8)
      case 8: byteCounts = try Column(range, width: 8)
      case 9: strides.positions = try Column(range, width: 4)
      case 10: strides.numbers = try Column(range, width: 8)
      case 11: starts.positions = try Column(range, width: 4)
      case 12: starts.numbers = try Column(range, width: 8)
      default: break
      }
    }
    try checkCounts()
    let landmarks = try checkedLandmarks()
    let strideLandmarks = try checkedLandmarks(of: strides, "strides")
    let startLandmarks = try checkedLandmarks(of: starts, "starts")
    if !landmarks.isEmpty {
      self.landmarks = Landmarks(landmarks, strides: strideLandmarks, starts: startLandmarks)
    }
  }

  // MARK: Checks

  private func checkCounts() throws(MessageError) {
    let placeCount = isPlan ? 0 : count
    guard nameLengths.count == count, dtypes.count == count, ranks.count == count,
      regions.count == placeCount, offsets.count == placeCount, byteCounts.count == count
    else {
      throw .malformed(
        "\(count) handles with \(nameLengths.count) names, \(dtypes.count) dtypes, "
          + "\(ranks.count) ranks, \(regions.count) regions, \(offsets.count) offsets and "
          + "\(byteCounts.count) byte counts")
    }
  }

  /// Checks dtypes, and that names and axes are as many as lengths and ranks say.
  private func checkedLandmarks() throws(MessageError) -> [Landmark] {
    var landmarks: [Landmark] = []
    let end = try unsafe bytes.span.withUnsafeBytes { bytes throws(MessageError) in
      let (dtypes, ranks) = unsafe (Words(bytes, self.dtypes), Words(bytes, self.ranks))
      let nameLengths = unsafe Words(bytes, self.nameLengths)
      var end = Landmark()
      var known: UInt32?
      for position in 0..<count {
        if position % HandleColumns.landmarkDistance == 0, position > 0 { landmarks.append(end) }
        let dtype = dtypes[position]
        guard dtype == known || DataType(rawValue: Int32(bitPattern: dtype)) != nil else {
          throw .malformed("handle \(position) has the unknown dtype \(dtype)")
        }
        known = dtype
        let rank = Int(Int32(bitPattern: ranks[position]))
        guard rank >= 0 else { throw .malformed("handle \(position) has the rank \(rank)") }
        // Sums of 32-bit numbers that lie in a message do not overflow.
        end.text &+= Int(nameLengths[position])
        end.axis &+= rank
      }
      return end
    }
    guard end.text == text.count else {
      throw .malformed("handles: names of \(end.text) bytes in a text of \(text.count)")
    }
    guard end.axis == lengths.count else {
      throw .malformed("handles: ranks of \(end.axis) axes, but \(lengths.count) lengths")
    }
    return landmarks
  }

  private func checkedLandmarks(
    of column: AxisColumn, _ what: String
  ) throws(MessageError) -> [Int] {
    var landmarks: [Int] = []
    var last = -1
    var axis = 0
    for place in 0..<column.positions.count {
      if place % HandleColumns.landmarkDistance == 0, place > 0 { landmarks.append(axis) }
      let position = Int(word(column.positions, place))
      guard position > last, position < count else {
        throw .malformed(
          "\(what) of handle \(position) after handle \(last), expected to ascend below \(count)")
      }
      axis += rank(position)
      last = position
    }
    guard axis == column.numbers.count else {
      throw .malformed("\(what): \(column.numbers.count) numbers for \(axis) axes")
    }
    return landmarks
  }

  /// Checks each handle, and widens the run of its region that is needed.
  func check(variableCount: Int, _ extents: inout Handles.Extents) throws(MessageError) {
    try unsafe bytes.span.withUnsafeBytes { bytes throws(MessageError) in
      let (variables, regions) = unsafe (Words(bytes, self.variables), Words(bytes, self.regions))
      let (dtypes, ranks) = unsafe (Words(bytes, self.dtypes), Words(bytes, self.ranks))
      let (lengths, offsets) = unsafe (Numbers(bytes, self.lengths), Numbers(bytes, self.offsets))
      let byteCounts = unsafe Numbers(bytes, self.byteCounts)
      let strided = unsafe Words(bytes, strides.positions)
      let steps = unsafe Numbers(bytes, strides.numbers)
      var (axis, nextStrided, step) = (0, 0, 0)
      // The region of the last handle, and the run of it that is needed: most handles share one.
      var (current, start, end) = (-1, 0, 0)
      // The dtype of the last handle, and its elements' width; nil for strings.
      var (dtype, width): (UInt32, Int?) = (0, nil)
      for position in 0..<count {
        let variable = Int(variables[position])
        let region = isPlan ? 0 : Int(regions[position])
        guard variable < variableCount, region < extents.count else {
          throw .malformed(
            "handle \(position) is for variable \(variable) of \(variableCount) "
              + "in region \(region) of \(extents.count)")
        }
        if dtypes[position] != dtype {
          dtype = dtypes[position]
          width = DataType(rawValue: Int32(bitPattern: dtype))?.byteCount
        }
        let axes = axis..<axis &+ Int(ranks[position])
        axis = axes.upperBound
        var spannedByteCount = byteCounts[position]
        var isRight = width.map { lengths.product(axes, $0) == spannedByteCount } ?? true
        if nextStrided < strided.count, strided[nextStrided] == position {
          if let width, isRight, spannedByteCount > 0 {
            // From the first element to the end of the last one.
            if let spanned = lengths.span(axes, steps, step, width) {
              spannedByteCount = spanned
            } else {
              isRight = false
            }
          }
          nextStrided += 1
          step += axes.count
        }
        let offset = isPlan ? 0 : offsets[position]
        let (last, overflow) = offset.addingReportingOverflow(spannedByteCount)
        guard isRight, !overflow else {
          throw .malformed(
            "handle \(position) has \(byteCounts[position]) bytes at \(offset), "
              + "which do not match its shape")
        }
        guard last > offset else { continue }
        if region != current {
          if current >= 0 { extents[current] = start..<end }
          (current, start, end) = (region, extents[region].lowerBound, extents[region].upperBound)
        }
        if start == end {
          (start, end) = (offset, last)
        } else {
          (start, end) = (min(start, offset), max(end, last))
        }
      }
      if current >= 0 { extents[current] = start..<end }
    }
  }
}

// MARK: - One handle

extension HandleColumns {
  func variable(_ position: Int) -> Int { Int(word(variables, position)) }

  @inline(__always)
  func place(_ position: Int) -> Handles.Place {
    guard let dtype = DataType(rawValue: Int32(bitPattern: word(dtypes, position))) else {
      preconditionFailure("dtypes were checked when the columns were read")
    }
    return Handles.Place(
      dtype: dtype, region: isPlan ? 0 : Int(word(regions, position)),
      offset: isPlan ? 0 : number(offsets, position), byteCount: number(byteCounts, position),
      isStrided: place(strides, position) != nil)
  }

  func tensor(_ position: Int) -> Name {
    let start = text.start + begin(position).text
    return Name(bytes[start..<start + Int(word(nameLengths, position))])
  }

  func shape(_ position: Int) -> Shape {
    let axis = begin(position).axis
    return Shape((axis..<axis + rank(position)).map { number(lengths, $0) })
  }

  func strides(_ position: Int) -> [Int]? { numbers(strides, landmarks?.strides, position) }

  func starts(_ position: Int) -> [Int]? { numbers(starts, landmarks?.starts, position) }

  /// Where a handle's name and axes begin.
  private func begin(_ position: Int) -> Landmark {
    let index = position / HandleColumns.landmarkDistance
    var begin = Landmark()
    if index > 0, let landmarks { begin = landmarks.handles[index - 1] }
    for earlier in index * HandleColumns.landmarkDistance..<position {
      begin.text += Int(word(nameLengths, earlier))
      begin.axis += rank(earlier)
    }
    return begin
  }

  /// The numbers for a handle's axes; nil if it has none.
  private func numbers(
    _ column: AxisColumn, _ landmarks: [Int]?, _ position: Int
  ) -> [Int]? {
    guard let place = place(column, position) else { return nil }
    let index = place / HandleColumns.landmarkDistance
    var axis = 0
    if index > 0, let landmarks { axis = landmarks[index - 1] }
    for earlier in index * HandleColumns.landmarkDistance..<place {
      axis += rank(Int(word(column.positions, earlier)))
    }
    return (axis..<axis + rank(position)).map { number(column.numbers, $0) }
  }

  /// Where a handle is among those that have numbers.
  private func place(_ column: AxisColumn, _ position: Int) -> Int? {
    let count = column.positions.count
    guard count > 0 else { return nil }
    let place = (0..<count).firstPosition { word(column.positions, $0) >= position }
    return place < count && word(column.positions, place) == position ? place : nil
  }

  private func rank(_ position: Int) -> Int { Int(word(ranks, position)) }

  @inline(__always)
  private func word(_ column: Column, _ index: Int) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe Words($0, column)[index] }
  }

  @inline(__always)
  private func number(_ column: Column, _ index: Int) -> Int {
    unsafe bytes.withUnsafeBytes { unsafe Numbers($0, column)[index] }
  }
}

/// A column of 32-bit numbers, while the bytes that it lies in are lent.
@safe
private struct Words {
  private let start: UnsafeRawPointer?
  let count: Int

  @inline(__always)
  init(_ bytes: UnsafeRawBufferPointer, _ column: HandleColumns.Column) {
    // A column lies in the bytes whole.
    unsafe start = bytes.baseAddress.map { unsafe $0 + column.start }
    count = column.count
  }

  @inline(__always)
  subscript(index: Int) -> UInt32 {
    precondition(index >= 0 && index < count)
    return unsafe start.unsafelyUnwrapped.loadUnaligned(
      fromByteOffset: index &* 4, as: UInt32.self)
  }
}

/// A column of 64-bit numbers, while the bytes that it lies in are lent.
@safe
private struct Numbers {
  private let start: UnsafeRawPointer?
  let count: Int

  @inline(__always)
  init(_ bytes: UnsafeRawBufferPointer, _ column: HandleColumns.Column) {
    // A column lies in the bytes whole.
    unsafe start = bytes.baseAddress.map { unsafe $0 + column.start }
    count = column.count
  }

  /// A number; a number above the largest `Int` becomes that.
  @inline(__always)
  subscript(index: Int) -> Int {
    precondition(index >= 0 && index < count)
    return Int(
      clamping: unsafe start.unsafelyUnwrapped.loadUnaligned(
        fromByteOffset: index &* 8, as: UInt64.self))
  }

  /// The numbers on the axes and `width`, multiplied; nil if the product does not fit.
  @inline(__always)
  func product(_ axes: Range<Int>, _ width: Int) -> Int? {
    var product = width
    for axis in axes {
      let (next, overflow) = product.multipliedReportingOverflow(by: self[axis])
      guard !overflow else { return nil }
      product = next
    }
    return product
  }

  /// The number of bytes that a strided array spans, or nil if it does not fit in an `Int`.
  ///
  /// `self` has the lengths of the axes, and `steps` has the strides from `step` on.
  func span(_ axes: Range<Int>, _ steps: Numbers, _ step: Int, _ width: Int) -> Int? {
    var spanned = width
    for (index, axis) in axes.enumerated() {
      let (distance, overflow) = (self[axis] - 1).multipliedReportingOverflow(
        by: steps[step + index])
      let (next, overflows) = spanned.addingReportingOverflow(distance)
      guard !overflow, !overflows else { return nil }
      spanned = next
    }
    return spanned
  }
}
