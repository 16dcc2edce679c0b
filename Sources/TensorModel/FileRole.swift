/// What a file of a checkpoint is for.
package enum FileRole: Sendable, Hashable {
  /// The index of a V2 checkpoint.
  case index
  /// A data file of a V2 checkpoint, by its number from 0, and how many there are.
  case shard(Int, of: Int)
  /// A file that is a checkpoint on its own, such as a V1 table; one of several if they are passed
  /// together.
  case whole
}

extension FileRole: CustomStringConvertible {
  /// The role for messages about a file without a name.
  package var description: String {
    switch self {
    case .index: "index file"
    case .shard(let shard, of: let total): "data file of shard \(shard) of \(total)"
    case .whole: "file"
    }
  }
}

/// The most files that a checkpoint may have, and so the most that one request may name.
///
/// Chosen: 200 shards are common, 1,000 are not.
package let maximumCheckpointFiles = 4096
