import WarmstartTensorModel

/// The formats of files that hold tensors and their own index, other than TensorFlow's.
enum WholeFormat: Hashable {
  case safetensors
  /// A zip archive, as PyTorch, Keras and NumPy write.
  case zip
  case npy
  /// What PyTorch wrote before its version 1.6.
  case legacyTorch
  /// What h5py and Keras write.
  case hdf5

  /// The first bytes of a file that tell its format, in bytes.
  static let headByteCount = 64

  /// Recognizes the format of a file by its first bytes; nil for a table of TensorFlow, and for all
  /// that is unknown.
  init?(_ head: Span<UInt8>, fileByteCount: Int) {
    if ZipArchive.recognizes(head) {
      self = .zip
    } else if Npy.recognizes(head) {
      self = .npy
    } else if TorchZip.recognizesLegacy(head) {
      self = .legacyTorch
    } else if HDF5.recognizes(head) {
      self = .hdf5
    } else if SafetensorsReader.recognizes(head, fileByteCount: fileByteCount) {
      self = .safetensors
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
    case .zip: return try readZip(file, to: &tensors, &memory, checkIn: checkIn)
    case .npy:
      try Npy.read(file, to: &tensors, &memory)
      return .numpy
    case .legacyTorch: throw TorchZip.legacy
    }
  }

  /// Adds the tensors of an archive, whose entries say which library wrote it.
  private func readZip(
    _ file: IndexFile, to tensors: inout FoundTensors, _ memory: inout ReaderMemory,
    checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) -> CheckpointFormat {
    let zip = try ZipArchive(file, &memory, checkIn: checkIn)
    defer { memory.giveBack(zip.memoryByteCount) }
    if let archive = TorchArchive(zip) {
      try TorchZip.read(file, archive, to: &tensors, &memory, checkIn: checkIn)
      return .torch
    }
    if try KerasArchive.read(file, zip, to: &tensors, &memory, checkIn: checkIn) { return .hdf5 }
    if try Npy.read(file, zip, to: &tensors, &memory, checkIn: checkIn) { return .numpy }
    throw .unsupported(
      "is a zip archive without a data.pkl of PyTorch, a model.weights.h5 of Keras or an array of "
        + "NumPy, expected one of them")
  }
}
