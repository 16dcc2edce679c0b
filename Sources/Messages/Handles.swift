package import WarmstartProtobuf
package import WarmstartTensorModel

/// The handles from all replies to a call, read where they lie in the replies' bytes.
///
/// A handle says what one variable gets: dtype, shape and strides, and where the bytes are. Each
/// reply's columns are checked when it arrives, and `extents` checks all handles against the call;
/// after that, every property of a handle is read from the columns when it is asked for. So 100,000
/// handles are a few allocations.
package struct Handles: Sendable {
  /// The columns from one reply.
  private struct Part: Sendable {
    /// The position of its first handle among all.
    let first: Int
    let columns: HandleColumns
  }

  /// Where the bytes of a variable are, and what type their elements have.
  package struct Place: Sendable, Hashable {
    package var dtype: DataType
    /// The position among all regions of the call.
    package var region: Int
    /// Where in the region the first element is.
    package var offset: Int
    package var byteCount: Int
    /// Whether the elements are not dense in C order.
    package var isStrided: Bool
  }

  /// For each region of a call, the run of it that the handles need.
  package struct Extents: Sendable {
    // Mostly there is one region, which needs no array.
    private var first = 0..<0
    private var later: [Range<Int>] = []
    /// The number of regions.
    package let count: Int

    init(count: Int) {
      self.count = count
      if count > 1 { later = Array(repeating: 0..<0, count: count - 1) }
    }

    /// The run of a region's bytes that the handles need; empty if they need none.
    package internal(set) subscript(region: Int) -> Range<Int> {
      get { region == 0 ? first : later[region - 1] }
      set { if region == 0 { first = newValue } else { later[region - 1] = newValue } }
    }
  }

  // Mostly there is one reply, which needs no array.
  private var first = HandleColumns()
  private var later: [Part] = []
  /// The number of handles.
  package private(set) var count = 0

  /// No handles.
  package init() {}

  /// Adds the handles of the next reply to a call: the message that is all of the bytes.
  ///
  /// Throws unless each column is one packed field and all fit together.
  mutating func append(_ message: RawSpan, isPlan: Bool) throws(MessageError) {
    guard count > 0 else {
      // Where it stays: a copy would cost as much as reading it.
      try first.read(message, isPlan: isPlan)
      count = first.count
      if count == 0 { first = HandleColumns() }
      return
    }
    var columns = HandleColumns()
    try columns.read(message, isPlan: isPlan)
    guard columns.count > 0 else { return }
    later.append(Part(first: count, columns: columns))
    count += columns.count
  }

  /// Checks all handles against the call and returns the run of each region that they need.
  ///
  /// Throws if a handle names a variable or a region that does not exist, or if its byte count does
  /// not match its shape.
  package func extents(variableCount: Int, regionCount: Int) throws(MessageError) -> Extents {
    var extents = Extents(count: regionCount)
    try first.check(variableCount: variableCount, &extents)
    for index in later.indices {
      try later[index].columns.check(variableCount: variableCount, &extents)
    }
    return extents
  }

  // MARK: One handle

  /// Where the bytes are.
  package func place(_ position: Int) -> Place { read(position) { $0.place($1) } }

  /// The position in the request of the variable.
  package func variable(_ position: Int) -> Int { read(position) { $0.variable($1) } }

  /// The name of the tensor; empty if it is the variable's.
  package func tensor(_ position: Int) -> Name { read(position) { $0.tensor($1) } }

  /// The shape of the bytes.
  package func shape(_ position: Int) -> Shape { read(position) { $0.shape($1) } }

  /// Bytes from one index to the next on each axis; none for a dense array in C order.
  package func strides(_ position: Int) -> [Int] { read(position) { $0.strides($1) ?? [] } }

  /// Where on each axis the bytes were cut out of the tensor; nil for all of it.
  package func starts(_ position: Int) -> [Int]? { read(position) { $0.starts($1) } }

  /// Lends the body the columns that a handle is in, and its position in them.
  @inline(__always)
  private func read<Result>(
    _ position: Int, _ body: (borrowing HandleColumns, Int) -> Result
  ) -> Result {
    precondition(position >= 0 && position < count, "there are \(count) handles")
    if position < first.count { return body(first, position) }
    // The last part that begins no later.
    let part = later.indices.firstPosition { later[$0].first > position } - 1
    return body(later.span[part].columns, position - later.span[part].first)
  }
}
