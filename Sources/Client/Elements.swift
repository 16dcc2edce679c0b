import WarmstartKernel
public import WarmstartTensorModel

/// A Swift type whose values are a tensor's elements, bit by bit.
///
/// Swift's own numbers and `Bool` conform. A type of another library may, such as a `BFloat16`: any
/// bits must be a value of it, and its stride must be the element's size.
public protocol TensorElement: BitwiseCopyable, Sendable {
  /// The element type of the tensors that have elements of this type.
  static var tensorType: DataType { get }
}

extension Float: TensorElement {
  /// `float32`.
  public static var tensorType: DataType { .float32 }
}

extension Double: TensorElement {
  /// `float64`.
  public static var tensorType: DataType { .float64 }
}

#if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
  extension Float16: TensorElement {
    /// `float16`.
    public static var tensorType: DataType { .float16 }
  }
#endif

extension Int8: TensorElement {
  /// `int8`.
  public static var tensorType: DataType { .int8 }
}

extension Int16: TensorElement {
  /// `int16`.
  public static var tensorType: DataType { .int16 }
}

extension Int32: TensorElement {
  /// `int32`.
  public static var tensorType: DataType { .int32 }
}

extension Int64: TensorElement {
  /// `int64`.
  public static var tensorType: DataType { .int64 }
}

extension Int: TensorElement {
  /// `int64`: an `Int` has 64 bits wherever Warmstart runs.
  public static var tensorType: DataType { .int64 }
}

extension UInt8: TensorElement {
  /// `uint8`.
  public static var tensorType: DataType { .uint8 }
}

extension UInt16: TensorElement {
  /// `uint16`.
  public static var tensorType: DataType { .uint16 }
}

extension UInt32: TensorElement {
  /// `uint32`.
  public static var tensorType: DataType { .uint32 }
}

extension UInt64: TensorElement {
  /// `uint64`.
  public static var tensorType: DataType { .uint64 }
}

extension UInt: TensorElement {
  /// `uint64`: a `UInt` has 64 bits wherever Warmstart runs.
  public static var tensorType: DataType { .uint64 }
}

extension Bool: TensorElement {
  /// `bool`.
  public static var tensorType: DataType { .bool }
}

extension Tensor {
  /// The elements as Swift values, valid as long as the tensor.
  ///
  /// A `bfloat16`, complex or quantized tensor has no Swift type: look at its `bits`. A string
  /// tensor has only `bytes`. The bytes of a `bool` are checked once: if the owner of a file may
  /// write to it in place, ask for `Resolved.Options.sealed`.
  ///
  /// - Parameter type: The type of an element: `Float` for `float32`, `Bool` for `bool`.
  /// - Returns: A span of the shared memory, in C order.
  /// - Throws: `WarmstartError` with the reason `invalidRequest` if the tensor's dtype is another
  ///   one, if the tensor has strides or is only planned, or if its address is not aligned for the
  ///   type (`Resolved.Options.alignment` asks for more); `corrupt` if a byte of a `bool` is
  ///   neither 0 nor 1.
  @inlinable
  @_lifetime(borrow self)
  public borrowing func elements<Element: TensorElement>(
    as type: Element.Type
  ) throws(WarmstartError) -> Span<Element> {
    Span(
      _bytes: try bytes(
        of: Element.tensorType, width: MemoryLayout<Element>.stride,
        alignment: MemoryLayout<Element>.alignment, as: type))
  }

  /// The bits of the elements as whole numbers of the same width, valid as long as the tensor.
  ///
  /// For dtypes without a Swift type: `UInt16` for `bfloat16`.
  ///
  /// - Parameter type: An unsigned type that is as wide as an element.
  /// - Returns: A span of the shared memory, in C order.
  /// - Throws: `WarmstartError` with the reason `invalidRequest` if an element has another width;
  ///   otherwise as `elements(as:)`.
  @inlinable
  @_lifetime(borrow self)
  public borrowing func bits<Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    as type: Bits.Type
  ) throws(WarmstartError) -> Span<Bits> {
    Span(
      _bytes: try bytes(
        of: nil, width: MemoryLayout<Bits>.stride, alignment: MemoryLayout<Bits>.alignment,
        as: type))
  }

  /// The bytes of elements of a type; throws unless they can be seen as that.
  ///
  /// Not generic, because a generic function is slow where it is not inlined. `dtype` is nil for
  /// any that has the width.
  @usableFromInline
  @_lifetime(borrow self)
  borrowing func bytes(
    of dtype: DataType?, width: Int, alignment: Int, as type: Any.Type
  ) throws(WarmstartError) -> RawSpan {
    let place = place
    guard place.dtype.byteCount == width, dtype == nil || place.dtype == dtype else {
      throw dtype == nil ? wrongWidth(type, width) : mismatch(type)
    }
    try expectDense(place, alignment: alignment)
    let bytes = answer.bytes(place, keptBy: self)
    if dtype == .bool { try expectTruthValues(in: bytes) }
    return bytes
  }

  /// Throws unless the tensor's memory can be seen as elements of the type.
  func expect<Element: TensorElement>(
    _ place: Place, _ type: Element.Type
  ) throws(WarmstartError) {
    guard place.dtype == Element.tensorType, place.dtype.byteCount == MemoryLayout<Element>.stride
    else { throw mismatch(type) }
    try expectDense(place, alignment: MemoryLayout<Element>.alignment)
  }

  /// Throws unless there is memory, dense and aligned.
  func expectDense(_ place: Place, alignment: Int) throws(WarmstartError) {
    guard !answer.isPlan, !place.isStrided else {
      throw notDense(place)
    }
    // Regions begin at a page.
    guard place.offset & (alignment - 1) == 0 || place.byteCount == 0 else {
      throw WarmstartError(
        .invalidRequest,
        "variable \(name) is aligned to \(self.alignment) bytes, expected \(alignment)")
    }
  }

  /// Throws unless each byte is a `Bool`: a file may hold others, which Swift must not see.
  func expectTruthValues(in bytes: RawSpan) throws(WarmstartError) {
    guard let index = bytes.firstOffset(above: 1) else { return }
    throw WarmstartError(
      .corrupt, "variable \(name) is bool, but a byte at \(index) is neither 0 nor 1")
  }

  @inline(never) private func notDense(_ place: Place) -> WarmstartError {
    place.isStrided
      ? WarmstartError(
        .invalidRequest, "variable \(name) has strides \(strides), expected a dense array")
      : WarmstartError(.invalidRequest, "variable \(name) is only planned, and has no bytes")
  }

  @inline(never) private func mismatch(_ type: Any.Type) -> WarmstartError {
    let expected =
      dtype.elementType.map { "expected \($0)" }
      ?? (dtype == .string ? "its strings are in `bytes`" : "it has no Swift type, only bits")
    return WarmstartError(
      .invalidRequest, "variable \(name) is \(dtype.name), which \(type) cannot view; \(expected)")
  }

  @inline(never) private func wrongWidth(_ type: Any.Type, _ byteCount: Int) -> WarmstartError {
    let width = dtype.byteCount.map { "\($0) bytes" } ?? "varying length"
    return WarmstartError(
      .invalidRequest,
      "variable \(name) is \(dtype.name), whose elements have \(width), expected "
        + "\(byteCount) for \(type)")
  }

  private var name: Name { variable.name }
}

extension DataType {
  /// The Swift type of the elements, for messages; nil if there is none.
  fileprivate var elementType: Any.Type? {
    switch self {
    case .float16: Float16.self
    case .float32: Float.self
    case .float64: Double.self
    case .int8: Int8.self
    case .int16: Int16.self
    case .int32: Int32.self
    case .int64: Int64.self
    case .uint8: UInt8.self
    case .uint16: UInt16.self
    case .uint32: UInt32.self
    case .uint64: UInt64.self
    case .bool: Bool.self
    default: nil
    }
  }
}
