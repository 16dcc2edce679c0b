import SystemPackage

/// What a user may have meant by a path that leads to no checkpoint.
///
/// Hints are looked for after the fact: they never change what is found, and a directory that
/// cannot be listed gives none.
enum Hint {
  /// For a checkpoint that a state file names elsewhere although it lies beside it.
  static func moved(to directory: PathText, _ path: PathText) throws(LocateError) -> String? {
    guard path.isAbsolute, !path.name.isEmpty else { return nil }
    let here = directory.joined(PathText(path.name))
    guard here.text != path.text else { return nil }
    for name in [here.text + ".index", here.text] where try OpenFile.exists(FilePath(name)) {
      return "was the directory moved? '\(here.text)' is here: name it instead"
    }
    return nil
  }

  /// For a directory without a state file: the V2 checkpoint in it with the greatest number at its
  /// end, as TensorFlow counts steps.
  static func latest(in directory: PathText) -> String? {
    let names = try? Listing.names(
      in: FilePath(directory.text), limit: CheckpointFiles.maximumFileCount
    ) { PathText($0).dropping(".index")?.isEmpty == false }
    let prefixes = (names ?? []).compactMap { PathText($0.string).dropping(".index") }
    let latest = prefixes.max { (step(of: $0), $0) < (step(of: $1), $1) }
    return latest.map { directory.joined(PathText($0)).text }
  }

  private static func step(of name: String) -> Int {
    let digits = name.reversed().prefix { $0.isASCII && $0.isWholeNumber }
    return Int(String(digits.reversed())) ?? -1
  }

  /// For a file that belongs to a checkpoint without being one; nil for any other file.
  static func whole(of path: PathText) -> String? {
    if let prefix = ShardName.prefix(ofDataFile: path) {
      return "it is one data file of a checkpoint: name the prefix '\(prefix)'"
    }
    if let prefix = path.dropping(".meta") {
      return "it is a graph: name the prefix '\(prefix)'"
    }
    return nil
  }

  /// For a pattern that matches an index.
  static func noPattern(_ index: FilePath) -> String {
    let prefix = PathText(index.string).dropping(".index") ?? index.string
    return "a V2 checkpoint is named by its prefix, not by a pattern: '\(prefix)'"
  }

  /// For a path with files beside it that only lack something.
  static func nearby(_ path: PathText) -> String? {
    if let whole = whole(of: path) { return whole }
    guard !path.name.isEmpty else { return nil }
    if let shard = (try? ShardName.list(beside: path, stem: "\(path.name).data-"))?.first {
      return "'\(path.text).data-\(shard.text)' is there, but its index is not"
    }
    if let shard = (try? ShardName.list(beside: path, stem: "\(path.name)-"))?.first {
      return
        "a V1 checkpoint of \(shard.total) shards is there: name it '\(path.text)-\(shard.pattern)'"
    }
    return nil
  }
}
