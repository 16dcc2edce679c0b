internal import SystemPackage
package import WarmstartKernel
package import WarmstartMessages
internal import WarmstartTestSupport

/// The open files of a V2 checkpoint, and the message that refers to them.
package struct PassedFiles {
  package let files: [File]
  package let reference: CheckpointReference

  /// Opens the index and the data files of a prefix.
  package init(_ prefix: String, shardCount: Int = 1, label: String = "") throws {
    func digits(_ number: Int) -> String {
      String(repeating: "0", count: 5 - "\(number)".count) + "\(number)"
    }
    var files = [try File(opening: FilePath(prefix + ".index"))]
    var references = [CheckpointFile(.index, .descriptor(0))]
    for shard in 0..<shardCount {
      references.append(CheckpointFile(.shard(shard, of: shardCount), .descriptor(files.count)))
      files.append(
        try File(
          opening: FilePath("\(prefix).data-\(digits(shard))-of-\(digits(shardCount))")))
    }
    self.files = files
    reference = .files(references, label: label)
  }

  /// Opens a golden checkpoint.
  package static func golden(
    _ relative: String = "v2_plain_resource/model.ckpt-1000", shardCount: Int = 1
  ) throws -> PassedFiles {
    try PassedFiles(Golden.path(relative), shardCount: shardCount, label: relative)
  }
}
