import WarmstartTensorModel

/// The formats of files that hold tensors and their own index, other than TensorFlow's.
enum WholeFormat: Hashable {
  case safetensors

  /// The first bytes of a file that tell its format, in bytes.
  static let headByteCount = 64

  /// Recognizes the format of a file by its first bytes; nil for a table of TensorFlow, and for all
  /// that is unknown.
  init?(_ head: Span<UInt8>, fileByteCount: Int) {
    guard SafetensorsReader.recognizes(head, fileByteCount: fileByteCount) else {
      return nil
    }
    self = .safetensors
  }

  /// The format of a checkpoint of such files.
  var checkpointFormat: CheckpointFormat {
    switch self {
    case .safetensors: .safetensors
    }
  }

  /// Adds the tensors of a file.
  func read(
    _ file: IndexFile, to tensors: inout FoundTensors, _ memory: inout ReaderMemory,
    checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) {
    switch self {
    case .safetensors: try SafetensorsReader.read(file, to: &tensors, &memory, checkIn: checkIn)
    }
  }
}
