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

  private var parts: [Part] = []
  /// The number of handles.
  package private(set) var count = 0

  package init() {}

  /// Adds the columns of the next reply to a call.
  mutating func append(_ columns: consuming HandleColumns) {
    let more = columns.count
    guard more > 0 else { return }
    parts.append(Part(first: count, columns: columns))
    count += more
  }

  /// Checks all handles against the call and returns the run of each region that they need.
  ///
  /// Throws if a handle names a variable or a region that does not exist, or if its byte count does
  /// not match its shape.
  package func extents(
    variableCount: Int, regionCount: Int
  ) throws(MessageError) -> [Range<Int>] {
    var extents = [Range<Int>](repeating: 0..<0, count: regionCount)
    for index in parts.indices {
      try parts[index].columns.check(variableCount: variableCount, &extents)
    }
    return extents
  }

  // MARK: One handle

  /// Where the bytes are.
  package func place(_ position: Int) -> Place {
    let part = part(of: position)
    return parts.span[part].columns.place(position - parts.span[part].first)
  }

  /// The position in the request of the variable.
  package func variable(_ position: Int) -> Int {
    let part = part(of: position)
    return parts.span[part].columns.variable(position - parts.span[part].first)
  }

  /// The name of the tensor; empty if it is the variable's.
  package func tensor(_ position: Int) -> Name {
    let part = part(of: position)
    return parts.span[part].columns.tensor(position - parts.span[part].first)
  }

  /// The shape of the bytes.
  package func shape(_ position: Int) -> Shape {
    let part = part(of: position)
    return parts.span[part].columns.shape(position - parts.span[part].first)
  }

  /// Bytes from one index to the next on each axis; none for a dense array in C order.
  package func strides(_ position: Int) -> [Int] {
    let part = part(of: position)
    return parts.span[part].columns.strides(position - parts.span[part].first) ?? []
  }

  /// Where on each axis the bytes were cut out of the tensor; nil for all of it.
  package func starts(_ position: Int) -> [Int]? {
    let part = part(of: position)
    return parts.span[part].columns.starts(position - parts.span[part].first)
  }

  /// The part that a handle is in: the last that begins no later.
  @inline(__always)
  private func part(of position: Int) -> Int {
    precondition(position >= 0 && position < count, "there are \(count) handles")
    if parts.count == 1 { return 0 }
    return (1..<parts.count).firstPosition { parts[$0].first > position } - 1
  }
}
