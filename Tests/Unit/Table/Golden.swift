import Foundation

/// The checkpoints that TensorFlow wrote, beside the tests.
enum Golden {
  /// The bytes of a file in the directory of golden checkpoints.
  static func bytes(of path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: directory.appending(path: path)))
  }

  /// The paths of all files that are tables: indexes, and V1 checkpoints.
  static func tables() throws -> [String] {
    let paths = try FileManager.default.subpathsOfDirectory(
      atPath: directory.path(percentEncoded: false))
    return paths.filter(isTable).sorted()
  }

  private static func isTable(_ path: String) -> Bool {
    path.hasSuffix(".index") || v1Tables.contains(path)
  }

  private static let v1Tables: Set = [
    "v1_partitioned/model", "v1_plain/model.ckpt-5", "v1_sharded/model-00000-of-00002",
    "v1_sharded/model-00001-of-00002",
  ]

  private static let directory = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Data/Golden")
}
