/// The lengths of a tensor's axes, outermost first; no axes is a scalar.
///
/// Shapes of one request or checkpoint share one buffer.
public struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral {
  /// A variable's axis of unknown length.
  public static let unknownLength = -1

  /// The lengths; `unknownLength` occurs only in what a variable declares.
  public let lengths: ArraySlice<Int>

  /// Makes a shape from lengths, whose buffer it shares with the caller.
  ///
  /// - Parameter lengths: The length of each axis, outermost first.
  public init(_ lengths: ArraySlice<Int>) {
    self.lengths = lengths
  }

  /// Makes a shape from lengths.
  ///
  /// - Parameter lengths: The length of each axis, outermost first.
  public init(_ lengths: [Int]) {
    self.lengths = lengths[...]
  }

  /// Makes a shape from an array literal: `[3, 2]`.
  ///
  /// - Parameter elements: The length of each axis, outermost first.
  public init(arrayLiteral elements: Int...) {
    self.init(elements)
  }

  /// The number of axes.
  public var rank: Int { lengths.count }

  /// The number of elements; nil if a length is negative or the product does not fit in an `Int`.
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

  /// The number of bytes of a dense tensor of this shape.
  ///
  /// - Parameter dtype: The element type.
  /// - Returns: The number; nil if `elementCount` is nil, the product does not fit in an `Int`, or
  ///   the elements vary in length.
  public func byteCount(of dtype: DataType) -> Int? {
    dtype.byteCount.flatMap { byteCount(ofWidth: $0) }
  }

  /// The number of bytes of a dense tensor whose elements have `width` bytes; nil as for
  /// `byteCount`.
  package func byteCount(ofWidth width: Int) -> Int? {
    guard let elementCount else { return nil }
    let (product, overflow) = elementCount.multipliedReportingOverflow(by: width)
    return overflow ? nil : product
  }

  /// Whether a tensor of the given shape may initialize a variable declared with this one.
  package func accepts(_ stored: Shape) -> Bool {
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
