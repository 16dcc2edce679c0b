internal import WarmstartTestSupport

/// A checkpoint with one tensor, `slow`, a hole that takes minutes to read and check.
package final class SlowCheckpoint: Sendable {
  private static let byteCount = 1 << 40

  private let directory: TemporaryDirectory
  /// The path by which users name the checkpoint.
  package let prefix: String

  /// Writes the checkpoint, which takes no room on disk.
  package init() throws {
    directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("slow", dtype: 4, [1], [0])
    writer.change("slow") { entry in
      entry.shape = [SlowCheckpoint.byteCount]
      entry.byteCount = SlowCheckpoint.byteCount
    }
    let bundle = try writer.write(to: directory.path)
    prefix = bundle.prefix
    try BundleFile.truncate(bundle.shards[0], to: SlowCheckpoint.byteCount)
  }
}
