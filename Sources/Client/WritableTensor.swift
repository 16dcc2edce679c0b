import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// A variable's bytes as this process's own copy, which its one owner may write.
///
/// The copy starts with the bytes that all jobs share, and takes memory page by page as it is
/// written. A page of a file that was not written yet still is the file's, as `Region` says. The
/// value cannot be copied, so Swift rejects a program in which one thread reads it while another
/// writes it. Threads that train different variables have a writable tensor each. `Tensor` still
/// shows the shared bytes.
///
/// Each writable tensor is a mapping of its own; Linux allows a process some 65,000
/// (`vm.max_map_count`).
public struct WritableTensor: ~Copyable, Sendable {
  /// The shared tensor that the bytes come from.
  public let tensor: Tensor
  private var mapping: WritableMapping

  fileprivate init(_ tensor: Tensor, _ mapping: consuming WritableMapping) {
    self.tensor = tensor
    self.mapping = mapping
  }

  /// The bytes in C order.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get { mapping.bytes }
  }

  /// The bytes in C order, to be written.
  public var mutableBytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get { mapping.mutableBytes }
  }

  /// The elements as Swift values.
  ///
  /// - Parameter type: The type of an element: `Float` for `float32`.
  /// - Returns: A span of this process's copy, in C order.
  /// - Throws: What `Tensor.elements(as:)` throws.
  @_lifetime(borrow self)
  public borrowing func elements<Element: TensorElement>(
    as type: Element.Type
  ) throws(WarmstartError) -> Span<Element> {
    try tensor.expect(tensor.place, type)
    if Element.tensorType == .bool { try tensor.expectTruthValues(in: mapping.bytes) }
    return mapping.elements(as: type)
  }

  /// The elements as Swift values, to be written.
  ///
  /// - Parameter type: The type of an element: `Float` for `float32`.
  /// - Returns: A span of this process's copy, in C order.
  /// - Throws: What `Tensor.elements(as:)` throws.
  @_lifetime(&self)
  public mutating func mutableElements<Element: TensorElement>(
    as type: Element.Type
  ) throws(WarmstartError) -> MutableSpan<Element> {
    try tensor.expect(tensor.place, type)
    if Element.tensorType == .bool { try tensor.expectTruthValues(in: mapping.bytes) }
    return mapping.mutableElements(as: type)
  }
}

extension Tensor {
  /// Makes this process's own copy of the bytes, which its owner may write.
  ///
  /// - Returns: The copy, which shares each page with all jobs until it is written.
  /// - Throws: `WarmstartError` with the reason `invalidRequest` unless the map was resolved with
  ///   `Resolved.Options.copyOnWrite`, and if the tensor has strides or is only planned; `system`
  ///   if the memory cannot be mapped.
  public func writable() throws(WarmstartError) -> WritableTensor {
    let place = place
    try expectDense(place, alignment: 1)
    guard let file = answer.regions[place.region].file else {
      throw WarmstartError(
        .invalidRequest, "variable \(variable.name) is read-only; resolve with copyOnWrite")
    }
    do throws(Errno) {
      return WritableTensor(
        self,
        try WritableMapping(file.descriptor, offset: place.offset, byteCount: place.byteCount))
    } catch {
      throw WarmstartError(
        .system, "cannot map \(place.byteCount) bytes of variable \(variable.name): \(error)",
        underlying: error)
    }
  }
}
