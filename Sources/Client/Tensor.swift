import SystemPackage
import WarmstartKernel
import WarmstartMessages
public import WarmstartTensorModel

/// The bytes of one variable, in memory that all jobs of the machine share.
///
/// The memory stays as long as any tensor of its region, whatever happens to the client or the daemon.
public struct Tensor: Sendable {
  /// The variable, as it was declared.
  public let variable: Variable
  /// The tensor that the bytes come from.
  public let tensor: Name
  /// The element type.
  public let dtype: DataType
  /// The shape of the bytes, which is the slice's if a slice was cut out.
  public let shape: Shape
  /// Bytes from one index to the next on each axis; none for a dense array in C order.
  public let strides: [Int]
  /// The number of bytes of all elements.
  public let byteCount: Int
  /// What was cut out of the tensor; nil for all of it.
  public let slice: TensorSlice?
  /// The memory that the bytes are in.
  public let region: Region
  private let mapping: Mapping
  /// Where the first element is in the region.
  public let offset: Int
  /// The largest power of two, at most 4096, that divides the first element's address.
  public let alignment: Int

  /// Makes a tensor of a handle that was checked.
  init(_ handle: Handle, _ variable: Variable, _ region: Region) {
    self.variable = variable
    self.region = region
    mapping = region.mapping
    tensor = handle.tensor
    dtype = handle.dtype
    // Users count axes from 0, which a run of a longer buffer does not.
    shape = Shape(Array(handle.shape.lengths))
    strides = Array(handle.strides)
    byteCount = handle.byteCount
    slice = handle.starts.map {
      TensorSlice(starts: Array($0), counts: Array(handle.shape.lengths))
    }
    offset = handle.offset
    // Regions begin at a page.
    alignment = 1 << min(12, handle.offset.trailingZeroBitCount)
  }

  /// The bytes in C order, valid as long as the tensor; traps if the tensor has strides, or is only
  /// planned.
  ///
  /// A string tensor's are 64-bit offsets, one more than elements, and then all strings' bytes.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      precondition(strides.isEmpty, "a strided tensor has no contiguous bytes")
      precondition(region.kind != .planned, "a planned tensor has no bytes")
      return mapping.bytes(region.mapped(offset..<offset + byteCount))
    }
  }

  /// The elements as Swift values, valid as long as the tensor.
  ///
  /// Throws INVALID_REQUEST if the type is not as wide as an element, the tensor has strides or is only
  /// planned, or its address is not aligned for the type (ask for an alignment when resolving).
  @_lifetime(borrow self)
  public borrowing func elements<Element: BitwiseCopyable>(
    as type: Element.Type
  ) throws(WarmstartError) -> Span<Element> {
    guard region.kind != .planned else {
      throw WarmstartError(
        .invalidRequest, "variable \(variable.name) is only planned, and has no bytes")
    }
    guard strides.isEmpty else {
      throw WarmstartError(.invalidRequest, "variable \(variable.name) has strides \(strides)")
    }
    guard dtype.byteCount == MemoryLayout<Element>.stride else {
      throw WarmstartError(
        .invalidRequest, "variable \(variable.name) is \(dtype.name), which \(type) cannot view")
    }
    guard alignment >= MemoryLayout<Element>.alignment || byteCount == 0 else {
      throw WarmstartError(
        .invalidRequest,
        "variable \(variable.name) is aligned to \(alignment) bytes, "
          + "expected \(MemoryLayout<Element>.alignment)")
    }
    return mapping.elements(region.mapped(offset..<offset + byteCount), as: type)
  }

  /// Lets the body write the bytes, which makes this process's own copy of the pages it touches.
  ///
  /// Throws INVALID_REQUEST unless the map was resolved with `copyOnWrite`, or if the tensor has
  /// strides. Nobody may read the tensor meanwhile.
  public func withMutableBytes<Result>(
    _ body: (inout MutableRawSpan) -> Result
  ) throws(WarmstartError) -> Result {
    guard region.isWritable else {
      throw WarmstartError(
        .invalidRequest, "variable \(variable.name) is read-only; resolve with copyOnWrite")
    }
    guard strides.isEmpty else {
      throw WarmstartError(.invalidRequest, "variable \(variable.name) has strides \(strides)")
    }
    return region.withMutableBytes(offset..<offset + byteCount, body)
  }
}
