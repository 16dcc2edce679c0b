import SystemPackage
import WarmstartTensorModel

/// What a user may have meant by a path that leads to no checkpoint.
///
/// Hints are made after a search has failed, and never change its result. A directory that cannot
/// be listed gives no hint. A hint spells paths as the user spelled the directory, so that they
/// work when pasted.
enum Hint {
  /// The most names that a search for a directory's name looks at; chosen, not tuned.
  private static let maximumDirectories = 4096

  /// For a checkpoint that a state file names and that is missing.
  ///
  /// People copy state files with their directories, also from other machines and from Windows.
  static func moved(to directory: PathText, _ path: PathText) -> String? {
    let name = path.name
    let windowsName = name.unicodeScalars.split(separator: "\\").last.map { String($0) } ?? name
    for name in [name, windowsName] where !name.isEmpty {
      let here = directory.joined(PathText(name))
      guard here.text != path.text, isCheckpoint(here) else { continue }
      return "was the directory moved? '\(here.text)' is here: name it instead"
    }
    return latest(in: directory).map { "'\($0)' is here: name it instead" }
  }

  /// For a directory without a usable state file.
  ///
  /// Suggests the checkpoint with the greatest number at the end of its name, as TensorFlow counts
  /// steps, or the variables of a SavedModel.
  static func latest(in directory: PathText) -> String? {
    if let latest = Neighbours(in: directory).latest { return latest }
    let variables = directory.joined(PathText("variables/variables"))
    return isCheckpoint(variables) ? variables.text : nil
  }

  /// For a file that is a part of a checkpoint, or lies beside one; nil for any other file.
  static func whole(of path: PathText) -> String? {
    if let prefix = ShardName.prefix(ofDataFile: path) {
      return "it is one data file of a checkpoint: \(naming(PathText(prefix)))"
    }
    if let prefix = path.dropping(".meta") { return "it is a graph: \(naming(PathText(prefix)))" }
    return path.name == StateFile.name ? checkpoint(ofState: path) : graph(path)
  }

  /// Suggests the checkpoint of a prefix if it exists, or says what it lacks.
  private static func naming(_ prefix: PathText) -> String {
    if isCheckpoint(prefix) { return "name the prefix '\(prefix.text)'" }
    let neighbours = Neighbours(in: PathText(prefix.directory))
    if let shards = neighbours.shards(of: prefix.name) { return "name the checkpoint '\(shards)'" }
    return "name the prefix '\(prefix.text)', whose index is not there"
  }

  /// For a state file, which names checkpoints but is none.
  private static func checkpoint(ofState path: PathText) -> String? {
    let directory = PathText(path.directory)
    guard let state = try? StateFile(of: directory) else { return nil }
    let target = directory.joined(state.modelCheckpointPath)
    if target.text != path.text, isCheckpoint(target) {
      return "it is a state file: name the checkpoint '\(target.text)'"
    }
    let moved = moved(to: directory, target)
    return "it is a state file, which names '\(target.text)'" + (moved.map { "; \($0)" } ?? "")
  }

  /// For a graph that was saved beside a checkpoint, or with one in a SavedModel.
  private static func graph(_ path: PathText) -> String? {
    guard path.dropping(".pb") != nil || path.dropping(".pbtxt") != nil else { return nil }
    let latest = latest(in: PathText(path.directory))
    return "it is a graph" + (latest.map { ": name the checkpoint '\($0)'" } ?? "")
  }

  /// For a pattern that matches an index.
  static func noPattern(_ index: FilePath) -> String {
    let prefix = PathText(index.string).dropping(".index") ?? index.string
    return "a V2 checkpoint is named by its prefix, not by a pattern: '\(prefix)'"
  }

  /// For a missing path, if files beside it have similar names or names that extend it.
  static func nearby(_ path: PathText) -> String? {
    if let whole = whole(of: path) { return whole }
    let name = path.name
    guard !name.isEmpty else { return withoutSlash(path) ?? misspelled(path) }
    if let shard = (try? ShardName.list(beside: path, stem: "\(name).data-"))?.first {
      return "'\(path.text).data-\(shard.text)' is there, but its index is not"
    }
    let neighbours = Neighbours(in: PathText(path.directory))
    return neighbours.nearest(to: PathText(name).dropping(".index") ?? name) ?? misspelled(path)
  }

  /// For the prefix of a checkpoint with a slash at its end.
  private static func withoutSlash(_ path: PathText) -> String? {
    let prefix = path.withoutLastSlashes
    guard !prefix.text.isEmpty, isFile(PathText(prefix.text + ".index")) else { return nil }
    return "'\(prefix.text)' is a checkpoint: name it without the slash"
  }

  /// For a path with a directory that does not exist, if another in its place has a similar name.
  private static func misspelled(_ path: PathText) -> String? {
    guard !path.isRemote else { return nil }
    var (missing, rest) = (path.withoutLastSlashes, "")
    while !missing.text.isEmpty, !isDirectory(missing.directory) {
      rest = "/\(missing.name)\(rest)"
      missing = PathText(missing.directory).withoutLastSlashes
    }
    guard !missing.text.isEmpty, !isDirectory(missing.text) else { return nil }
    if !rest.isEmpty, isFile(missing) { return "'\(missing.text)' is not a directory" }
    var (nearest, count) = (NearestNames(to: Name(missing.name)), 0)
    let place = FilePath(missing.directory.isEmpty ? "." : missing.directory)
    _ = try? Listing.names(in: place, limit: maximumDirectories) { name in
      count += 1
      // A longer name is not a misspelled one.
      if !PathText.has(name, prefix: missing.name), isDirectory(missing.directory + name) {
        nearest.offer(Name(name))
      }
      return count > maximumDirectories
    }
    // Of too many names, another may be nearer.
    guard count <= maximumDirectories else { return nil }
    guard let name = nearest.names.first else { return nil }
    let found = missing.directory + String(decoding: name.bytes, as: UTF8.self)
    let target = found + rest
    let isThere = rest.isEmpty || isDirectory(target) || isCheckpoint(PathText(target))
    return isThere ? "'\(target)' is there" : "there is a directory '\(found)'"
  }

  /// Whether a checkpoint seems to exist at a path.
  private static func isCheckpoint(_ path: PathText) -> Bool {
    if path.isImpossible || path.isRemote { return false }
    if isFile(PathText(path.text + ".index")) || isFile(path) { return true }
    let pattern = Pattern(path)
    return pattern.isSpecial
      && (try? pattern.matches().contains { isFile(PathText($0.string)) }) == true
  }

  /// Whether a path is a directory; the empty one is the working directory.
  private static func isDirectory(_ path: String) -> Bool {
    OpenFile.isDirectory(FilePath(path.isEmpty ? "." : path))
  }

  private static func isFile(_ path: PathText) -> Bool {
    (try? OpenFile(FilePath(path.text)))?.isRegular == true
  }
}
