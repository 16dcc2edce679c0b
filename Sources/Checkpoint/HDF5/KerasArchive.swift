import WarmstartTensorModel

/// Reads the tensors of a file of `model.save`: `.keras`, a zip archive with the weights in an HDF5
/// file, beside the model's configuration.
enum KerasArchive {
  private static let weights: Name = "model.weights.h5"

  /// Adds the tensors of an archive, whose names are those in the weights.
  ///
  /// - Returns: Whether Keras wrote the archive; false if it has no weights.
  static func read(
    _ file: IndexFile, _ zip: ZipArchive, to tensors: inout FoundTensors,
    _ memory: inout ReaderMemory, checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) -> Bool {
    guard let entry = zip.entry(weights) else { return false }
    try entry.requireStored("save the model again with Keras, which does not compress it")
    try HDF5.read(file, entry.range, to: &tensors, &memory, checkIn: checkIn)
    return true
  }
}
