import SystemPackage
import WarmstartTensorModel

extension ShardName {
  /// Parses the name of a file after a stem; nil if it does not continue with a shard's name.
  ///
  /// The stem of a data file is `<prefix>.data-`, that of a V1 table `<name>-`.
  init?(_ name: String, stem: String) {
    guard PathText.has(name, prefix: stem) else { return nil }
    self.init(Array(name.utf8).dropFirst(stem.utf8.count))
  }

  /// The shards beside a prefix, in no order.
  static func list(beside prefix: PathText, stem: String) throws(LocateError) -> [ShardName] {
    let directory = FilePath(prefix.directory.isEmpty ? "." : prefix.directory)
    let limit = maximumCheckpointFiles
    var shards: [ShardName] = []
    _ = try Listing.names(in: directory, limit: limit) { name in
      if let shard = ShardName(name, stem: stem) { shards.append(shard) }
      return false
    }
    guard shards.count <= limit else {
      throw .tooManyFiles(path: directory.string, limit: limit)
    }
    return shards
  }

  /// The prefix of a data file's path; nil if the path does not look like one.
  static func prefix(ofDataFile path: PathText) -> String? {
    let marker = ".data-"
    let name = path.name
    for index in name.unicodeScalars.indices.reversed()
    where PathText.has(String(name.unicodeScalars[index...]), prefix: marker) {
      let base = String(name.unicodeScalars[..<index])
      return ShardName(name, stem: base + marker).map { _ in path.directory + base }
    }
    return nil
  }

  /// Splits a V1 table's name into what precedes its number, and the number; nil for any other
  /// name.
  static func split(table name: String) -> (base: String, shard: ShardName)? {
    for index in name.unicodeScalars.indices.reversed() where name.unicodeScalars[index] == "-" {
      let base = String(name.unicodeScalars[..<index])
      if let shard = ShardName(name, stem: base + "-") { return (base, shard) }
    }
    return nil
  }
}
