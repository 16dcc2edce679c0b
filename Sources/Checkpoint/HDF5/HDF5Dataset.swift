import WarmstartTensorModel

/// An array of an HDF5 file: its shape, its type, and where its elements are.
///
/// Elements can be served only where they are one run of bytes of the file: in a contiguous or a
/// compact layout (IV.A.2.i of the specification).
struct HDF5Dataset {
  /// HDF5's own limit (H5S_MAX_RANK).
  private static let maximumRank = 32

  private let name: Name
  private let header: ObjectHeader

  /// Takes the header of an object; nil if it is not a dataset's.
  ///
  /// A datatype that stands for itself has neither a layout nor a dataspace. A dataset that lacks one
  /// of them is damaged, and not left out.
  init?(_ header: ObjectHeader, _ name: Name) {
    guard header.message(.dataLayout) != nil || header.message(.dataspace) != nil else {
      return nil
    }
    (self.header, self.name) = (header, name)
  }

  /// Describes the dataset as a tensor; nil if it has text or nothing, and so is no weight.
  func tensor(in file: inout HDF5File) throws(IndexError) -> FoundTensor? {
    guard let shape = try shape(), let (dtype, isBigEndian) = try dtype(in: &file) else {
      return nil
    }
    guard let byteCount = shape.byteCount(ofElements: dtype.byteCount ?? 0) else {
      throw malformed("has 2^63 bytes or more, expected less")
    }
    let offset = try offset(byteCount, in: file)
    return FoundTensor(
      name: name, dtype: dtype, shape: shape, offset: offset, byteCount: byteCount,
      isBigEndian: isBigEndian)
  }

  private func malformed(_ fault: String) -> IndexError { .tensorMalformed(fault, name) }

  private func unsupported(_ fault: String) -> IndexError { .tensorUnsupported(fault, name) }

  /// The message of a kind, which a dataset must have.
  private func message(_ kind: ObjectHeader.Message.Kind) throws(IndexError) -> HDF5Fields {
    guard let message = header.message(kind) else {
      throw malformed("has no \(kind) message, expected one")
    }
    guard !message.isShared else {
      throw unsupported(
        "has a \(kind) that it shares with other objects, expected one of its own; copy the "
          + "dataset with h5py to a new file")
    }
    return message.fields
  }

  /// Reads the lengths of the axes; nil for a null dataspace, which has no elements, not even 0.
  private func shape() throws(IndexError) -> [Int]? {
    var fields = try message(.dataspace)
    let version = try fields.version(1...2)
    let rank = Int(try fields.uint8())
    try fields.skip(1)
    if version == 1 {
      try fields.skip(5)
    } else if try fields.uint8() == 2 {
      return nil
    }
    guard rank <= Self.maximumRank else {
      throw malformed("has \(rank) axes, expected at most \(Self.maximumRank)")
    }
    var shape: [Int] = []
    for _ in 0..<rank { shape.append(try fields.length()) }
    return shape
  }

  /// Reads the type of the elements; nil for text.
  private func dtype(
    in file: inout HDF5File
  ) throws(IndexError) -> (dtype: DataType, isBigEndian: Bool)? {
    switch try HDF5Datatype(try message(.datatype)) {
    case .numbers(let dtype, let isBigEndian): return (dtype, isBigEndian)
    case .text: return nil
    case .opaque(let byteCount):
      let text = try HDF5Attribute.text("dtype", of: header, in: &file)
      if byteCount == 2, let text, text.elementsEqual("bfloat16".utf8) { return (.bfloat16, false) }
      throw unsupported(
        "has elements of \(byteCount) opaque bytes, expected numbers, or 2 bytes with Keras's "
          + "attribute dtype = bfloat16; save it as another type")
    case .other(let type):
      throw unsupported(
        "has \(type) as the type of its elements, expected numbers that tensors have")
    }
  }

  /// Reads where the elements are, and checks that they are within the file.
  ///
  /// - Returns: The offset in the file; 0 without elements.
  private func offset(_ byteCount: Int, in file: HDF5File) throws(IndexError) -> Int {
    var fields = try message(.dataLayout)
    let start = fields.offset
    let version = try fields.uint8()
    guard (3...5).contains(version) else {
      throw unsupported(
        "has a data layout message of version \(version), expected 3 to 5; h5repack rewrites it")
    }
    let found: (offset: Int, byteCount: Int)
    switch try fields.uint8() {
    case 0:
      let count = try fields.uint16()
      let elements = try fields.take(count)
      found = (elements.offset, count)
    case 1:
      guard header.message(.externalFiles) == nil else {
        throw unsupported("has its elements in other files, expected them in this one")
      }
      let address = try fields.address()
      let count = try fields.length()
      guard byteCount > 0 else { return 0 }
      guard let address else {
        throw unsupported(
          "was never written and has no bytes in the file, expected values; write it")
      }
      guard file.has(count, at: address) else {
        throw malformed(
          "has \(count) bytes at address \(address), expected an end within the "
            + "\(file.byteCount) bytes of the HDF5 file")
      }
      found = (file.offset(of: address), count)
    case 2:
      let filters = header.message(.filterPipeline) == nil ? "" : " and filtered (compressed)"
      throw unsupported(
        "is chunked\(filters), expected a contiguous layout; save it without chunks and "
          + "compression, or rewrite the file with h5repack -f NONE -l CONTI")
    case 3:
      throw unsupported(
        "is virtual and has its elements in other datasets, expected its own; h5repack rewrites it")
    case let layout:
      throw .malformed(
        at: start, "has a data layout message of class \(layout), expected 0 to 3")
    }
    guard byteCount <= found.byteCount else {
      throw malformed(
        "has \(found.byteCount) bytes, expected the \(byteCount) of its shape and type")
    }
    return byteCount == 0 ? 0 : found.offset
  }
}

extension [Int] {
  /// The number of bytes of elements in this shape; nil from 2^63 on.
  fileprivate func byteCount(ofElements width: Int) -> Int? {
    if contains(0) { return 0 }
    var byteCount = width
    for length in self {
      let (product, overflow) = byteCount.multipliedReportingOverflow(by: length)
      if overflow { return nil }
      byteCount = product
    }
    return byteCount
  }
}
