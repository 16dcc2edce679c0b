import SystemPackage

/// The directories that Orbax, JAX's and Keras's own library, keeps checkpoints in.
enum Orbax {
  /// The file that each of its checkpoints has.
  private static let marker = "_CHECKPOINT_METADATA"

  /// Whether a directory is one of its checkpoints, or has one for each step of a training.
  static func owns(_ directory: PathText) -> Bool {
    if isMarked(directory) { return true }
    let steps = try? Listing.names(
      in: FilePath(directory.text), limit: CheckpointFiles.maximumFileCount
    ) { $0.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } }
    return (steps ?? []).contains { isMarked(directory.joined(PathText($0.string))) }
  }

  private static func isMarked(_ directory: PathText) -> Bool {
    (try? OpenFile.exists(FilePath(directory.joined(PathText(marker)).text))) == true
  }
}
