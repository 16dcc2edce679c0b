import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

/// Reads the array of an `.npy` file, and those of an `.npz` archive.
///
/// An `.npy` file has no name for its array. Its name here is `arr_0`, which `numpy.savez` gives to
/// the first array that it gets without a name, so that a file and an archive of one array are
/// mapped alike. An `.npz` archive is a zip archive with an `.npy` file for each array, as
/// `numpy.savez` writes it.
enum Npy {
  /// The name of an `.npy` file's array.
  static let name: Name = "arr_0"

  /// Whether a file that starts with these bytes is an `.npy` file.
  static func recognizes(_ head: Span<UInt8>) -> Bool {
    head.count >= NpyHeader.magic.count
      && NpyHeader.magic.indices.allSatisfy { head[$0] == NpyHeader.magic[$0] }
  }

  /// Adds the array of an `.npy` file.
  static func read(
    _ file: IndexFile, to tensors: inout FoundTensors, _ memory: inout ReaderMemory
  ) throws(IndexError) {
    tensors.append(try array(name, in: file, 0..<file.byteCount, checksum: 0, &memory))
  }

  /// Adds the arrays of an `.npz` archive.
  ///
  /// Like NumPy, the reader takes an entry for an array by its first bytes, not by its name, and
  /// skips other entries.
  ///
  /// - Returns: Whether the archive has any.
  static func read(
    _ file: IndexFile, _ zip: ZipArchive, to tensors: inout FoundTensors,
    _ memory: inout ReaderMemory, checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) -> Bool {
    let suffix = Array(".npy".utf8)
    var steps = CheckedSteps(checkIn)
    var hasArrays = false
    for entry in zip.entries {
      try steps.step()
      let path = entry.name.bytes
      let isNamedArray = path.suffix(suffix.count).elementsEqual(suffix)
      if isNamedArray {
        try entry.requireStored("save it with numpy.savez, not numpy.savez_compressed")
      }
      guard entry.method == 0, entry.range.count >= NpyHeader.magic.count else { continue }
      let start = entry.range.lowerBound
      guard try file.read(start..<start + NpyHeader.magic.count) == NpyHeader.magic else {
        continue
      }
      let name = Name(isNamedArray ? path.dropLast(suffix.count) : path)
      tensors.append(
        try array(name, in: file, entry.range, checksum: entry.checksum, &memory))
      hasArrays = true
    }
    return hasArrays
  }

  /// Reads the array in a range of a file, whose CRC-32 is given; 0 for none.
  private static func array(
    _ name: Name, in file: IndexFile, _ range: Range<Int>, checksum: UInt32,
    _ memory: inout ReaderMemory
  ) throws(IndexError) -> FoundTensor {
    let header: NpyHeader
    do throws(IndexError) {
      header = try NpyHeader(file, range)
    } catch {
      guard case .unsupported(let reason) = error else { throw error }
      throw .tensorUnsupported(reason, name)
    }
    let shape = Shape(header.shape)
    guard let byteCount = shape.byteCount(of: header.dtype.dataType) else {
      throw .tensorMalformed("has the shape \(shape), expected less than 2^63 bytes", name)
    }
    let left = range.count - header.byteCount
    guard byteCount <= left else {
      throw .tensorMalformed(
        "has \(left) bytes, expected \(byteCount) for the shape \(shape)", name)
    }
    guard byteCount == left else {
      throw .tensorUnsupported(
        "has \(left) bytes, expected \(byteCount) for the shape \(shape): save a second array to a "
          + "file of its own, or both with numpy.savez", name)
    }
    try memory.take(
      FoundTensors.memoryByteCount(ofName: name.bytes.count, axes: 2 * header.shape.count) + 96)
    var found = FoundTensor(
      name: name, dtype: header.dtype.dataType, shape: header.shape,
      offset: byteCount == 0 ? 0 : range.lowerBound + header.byteCount, byteCount: byteCount)
    found.isBigEndian = header.dtype.isBigEndian
    if checksum != 0 {
      let bytes = try file.read(range.prefix(header.byteCount))
      var head = CRC32()
      head.update(bytes.rawSpan)
      found.checksum = StoredChecksum(ofEntry: checksum, head: head.value)
    }
    if header.isFortranOrder, byteCount > 0, header.shape.count(where: { $0 > 1 }) > 1 {
      var step = 1
      found.strides = header.shape.map { length in
        defer { step *= length }
        return step
      }
    }
    return found
  }
}
