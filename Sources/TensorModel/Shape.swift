/// The lengths of a tensor's axes, outermost first; no axes is a scalar.
///
/// Shapes of one request or checkpoint share one buffer.
public struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral {
  /// A variable's axis of unknown length.
  public static let unknownLength = -1

  /// The lengths; `unknownLength` occurs only in what a variable declares.
  public let lengths: ArraySlice<Int>

  /// Makes a shape of lengths, which share their buffer with the caller's.
  public init(_ lengths: ArraySlice<Int>) {
    self.lengths = lengths
  }

  /// Makes a shape of lengths.
  public init(_ lengths: [Int]) {
    self.lengths = lengths[...]
  }

  /// Makes a shape of lengths.
  public init(arrayLiteral elements: Int...) {
    self.init(elements)
  }

  /// The number of axes.
  public var rank: Int { lengths.count }

  /// The number of elements, or nil if a length is negative or the product does not fit.
  public var elementCount: Int? {
    var count = 1
    var overflowed = false
    for length in lengths {
      guard length >= 0 else { return nil }
      if length == 0 { return isEveryLengthKnown && !overflowed ? 0 : nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: length)
      overflowed = overflowed || overflow
      count = product
    }
    return overflowed ? nil : count
  }

  /// The number of bytes of a dense tensor of this shape, or nil as for `elementCount`.
  public func byteCount(of dtype: DataType) -> Int? {
    dtype.byteCount.flatMap { byteCount(ofWidth: $0) }
  }

  /// The number of bytes of a dense tensor with elements of a size, or nil as for `elementCount`.
  public func byteCount(ofWidth width: Int) -> Int? {
    guard let elementCount else { return nil }
    let (product, overflow) = elementCount.multipliedReportingOverflow(by: width)
    return overflow ? nil : product
  }

  /// Whether a tensor of the given shape may initialize a variable declared with this one.
  public func accepts(_ stored: Shape) -> Bool {
    rank == stored.rank
      && zip(lengths, stored.lengths).allSatisfy { $0 == $1 || $0 == Shape.unknownLength }
  }

  private var isEveryLengthKnown: Bool { lengths.allSatisfy { $0 >= 0 } }
}

extension Shape: CustomStringConvertible {
  /// The lengths in brackets, as they are declared: `[3, 2]`, with `-1` for an unknown one.
  public var description: String {
    "[" + lengths.map { String($0) }.joined(separator: ", ") + "]"
  }
}
