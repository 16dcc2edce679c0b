import WarmstartTensorModel

/// A tensor as the pickle describes it; it is checked when its name is known.
enum TorchTensor {
  case view(TorchView)
  /// A view whose elements are the conjugated or negated ones of its storage.
  case conjugated(TorchView)
  /// A tensor that is no view of one storage; its shape is a tuple, and its dtype nil, if the
  /// pickle does not say them.
  case other(TorchGlobal.OtherTensor, PickleValue, TorchDtype?)
}

extension TorchTensor {
  /// Lists a tensor that is no view of one storage.
  ///
  /// - Throws: `tensorUnsupported` if its shape is unknown.
  static func list(
    _ kind: TorchGlobal.OtherTensor, _ shape: PickleValue, _ dtype: TorchDtype?, _ name: Name,
    in heap: PickleHeap
  ) throws(IndexError) -> FoundTensor {
    guard let count = heap.items(of: shape)?.count, count <= TorchView.maximumRank,
      let shape = heap.integers(of: shape), shape.allSatisfy({ $0 >= 0 }),
      Shape(shape).byteCount(ofWidth: dtype?.byteCount ?? 1) != nil
    else { throw .tensorUnsupported("is \(kind.rawValue)", name) }
    return FoundTensor(
      name: name, dtype: dtype?.dataType ?? .packed, shape: shape, offset: 0, byteCount: 0,
      refusal: "is \(kind.rawValue)")
  }
}

/// Some elements of a storage: a shape, and a step in elements for each axis.
struct TorchView {
  /// The most axes that PyTorch's operations take (`at::kMaxTensorDims`).
  fileprivate static let maximumRank = 64

  let storage: UInt32
  let dtype: TorchDtype
  let offset: Int
  let shape: PickleValue
  let strides: PickleValue

  /// Checks that the view lies in its storage, and finds it in the file; a view that cannot be
  /// served is only listed.
  func find(
    _ name: Name, in heap: PickleHeap, isBigEndian: Bool
  ) throws(IndexError) -> FoundTensor {
    let storage = heap.storages[Int(storage)]
    guard let rank = heap.items(of: shape)?.count, rank <= TorchView.maximumRank else {
      throw .tensorUnsupported("has more than \(TorchView.maximumRank) axes", name)
    }
    guard heap.items(of: strides)?.count == rank, let shape = heap.integers(of: shape),
      let strides = heap.integers(of: strides), (shape + strides).allSatisfy({ $0 >= 0 }),
      offset >= 0
    else {
      throw .tensorMalformed(
        "has a shape, strides or an offset that are not integers from 0 on, as many of each", name)
    }
    guard let byteCount = Shape(shape).byteCount(ofWidth: dtype.byteCount) else {
      throw .tensorMalformed("has the shape \(Shape(shape)), expected less than 2^63 bytes", name)
    }
    var found = FoundTensor(
      name: name, dtype: dtype.dataType ?? .packed, shape: shape, offset: 0, byteCount: byteCount)
    guard let range = storage.range else {
      return found.listed("is \(TorchGlobal.OtherTensor.meta.rawValue)")
    }
    let stored = range.count / dtype.byteCount
    guard let last = TorchView.lastElement(shape, strides, from: offset), last < stored else {
      throw .tensorMalformed(
        "has the shape \(Shape(shape)), strides \(Shape(strides)) and offset \(offset), expected "
          + "them within the \(stored) elements of its storage", name)
    }
    guard dtype.dataType != nil else {
      return found.listed("has the dtype torch.\(dtype.rawValue), which has no handles")
    }
    if byteCount > 0 { found.offset = range.lowerBound + offset * dtype.byteCount }
    // An archive has a checksum of each storage, so it protects tensors that are all of theirs.
    if offset == 0, last == stored - 1, stored * dtype.byteCount == range.count {
      found.checksum = StoredChecksum(ofEntry: storage.checksum)
    }
    found.isBigEndian = isBigEndian && dtype.byteCount > 1
    guard !TorchView.isContiguous(shape, strides) else { return found }
    guard !TorchView.mayOverlap(shape, strides) else {
      return found.listed(
        "has elements that share a place, such as expand() makes: save tensor.contiguous()")
    }
    // The stride of an axis of one index means nothing, and may be any number.
    found.strides = zip(shape, strides).map { $0 == 1 ? 1 : $1 }
    return found
  }

  /// The place of the last element in the storage; -1 if the view has no elements, nil if the place
  /// exceeds an `Int`.
  private static func lastElement(_ shape: [Int], _ strides: [Int], from offset: Int) -> Int? {
    guard !shape.contains(0) else { return -1 }
    var last = offset
    for (length, stride) in zip(shape, strides) {
      let (distance, isTooFar) = (length - 1).multipliedReportingOverflow(by: stride)
      let (next, isOutside) = last.addingReportingOverflow(distance)
      guard !isTooFar, !isOutside else { return nil }
      last = next
    }
    return last
  }

  /// Whether the elements follow each other in C order; the steps of axes with one element, or of a
  /// view without any, do not matter.
  private static func isContiguous(_ shape: [Int], _ strides: [Int]) -> Bool {
    guard !shape.contains(0) else { return true }
    var expected = 1
    for (length, stride) in zip(shape, strides).reversed() where length != 1 {
      guard stride == expected else { return false }
      expected *= length
    }
    return true
  }

  /// Whether two elements may share a place.
  ///
  /// They do not if each step is longer than all that the axes with shorter steps span, as in all
  /// views that slices and permutations make. The caller checked that the sums do not overflow.
  private static func mayOverlap(_ shape: [Int], _ strides: [Int]) -> Bool {
    var span = 0
    for (length, stride) in zip(shape, strides).filter({ $0.0 > 1 }).sorted(by: { $0.1 < $1.1 }) {
      guard stride > span else { return true }
      span += (length - 1) * stride
    }
    return false
  }
}
