import SystemPackage
import WarmstartTensorModel

/// Recognizes directories of Orbax, the library with which JAX and Keras 3 write checkpoints.
enum Orbax {
  /// The name of a file in each of Orbax's checkpoints.
  private static let marker = "_CHECKPOINT_METADATA"

  /// Whether a directory is a checkpoint of Orbax, or has one in a subdirectory for a training step.
  static func owns(_ directory: PathText) -> Bool {
    if isMarked(directory) { return true }
    let steps = try? Listing.names(
      in: FilePath(directory.text), limit: maximumCheckpointFiles
    ) { $0.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } }
    return (steps ?? []).contains { isMarked(directory.joined(PathText($0.string))) }
  }

  private static func isMarked(_ directory: PathText) -> Bool {
    (try? OpenFile.exists(FilePath(directory.joined(PathText(marker)).text))) == true
  }
}
