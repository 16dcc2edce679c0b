import WarmstartTensorModel

/// The formats of files that hold tensors and their own index, other than TensorFlow's.
enum WholeFormat: Hashable {
  case safetensors
  case hdf5

  /// The first bytes of a file that tell its format, in bytes.
  static let headByteCount = 64

  /// Recognizes the format of a file by its first bytes; nil for a table of TensorFlow, and for all
  /// that is unknown.
  init?(_ head: Span<UInt8>, fileByteCount: Int) {
    if SafetensorsReader.recognizes(head, fileByteCount: fileByteCount) {
      self = .safetensors
    } else if HDF5.recognizes(head) {
      self = .hdf5
    } else {
      return nil
    }
  }

  /// Adds the tensors of a file.
  ///
  /// - Returns: The format of a checkpoint of such files.
  func read(
    _ file: IndexFile, to tensors: inout FoundTensors, _ memory: inout ReaderMemory,
    checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) -> CheckpointFormat {
    switch self {
    case .safetensors:
      try SafetensorsReader.read(file, to: &tensors, &memory, checkIn: checkIn)
      return .safetensors
    case .hdf5:
      try HDF5.read(file, 0..<file.byteCount, to: &tensors, &memory, checkIn: checkIn)
      return .hdf5
    }
  }
}
