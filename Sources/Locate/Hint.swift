import SystemPackage
import WarmstartTensorModel

/// What a user may have meant by a path that leads to no checkpoint.
///
/// Hints are looked for after the fact: they never change what is found, and a directory that
/// cannot be listed gives none. A hint names what is there, by the directory as the user spelled
/// it, so that it works when it is pasted.
enum Hint {
  /// For a state file's checkpoint that is not where the state file says.
  ///
  /// State files are copied with their directories, also from other machines and from Windows.
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

  /// For a directory without a usable state file: the checkpoint in it with the greatest number at
  /// its end, as TensorFlow counts steps, or the variables of a SavedModel.
  static func latest(in directory: PathText) -> String? {
    if let latest = Neighbours(in: directory).latest { return latest }
    let variables = directory.joined(PathText("variables/variables"))
    return isCheckpoint(variables) ? variables.text : nil
  }

  /// For a file that belongs to a checkpoint without being one; nil for any other file.
  static func whole(of path: PathText) -> String? {
    if let prefix = ShardName.prefix(ofDataFile: path) {
      return "it is one data file of a checkpoint: \(naming(PathText(prefix)))"
    }
    if let prefix = path.dropping(".meta") { return "it is a graph: \(naming(PathText(prefix)))" }
    return path.name == StateFile.name ? checkpoint(ofState: path) : graph(path)
  }

  /// Which checkpoint of a prefix to name: one that is there, or what is missing of it.
  private static func naming(_ prefix: PathText) -> String {
    if isCheckpoint(prefix) { return "name the prefix '\(prefix.text)'" }
    let neighbours = Neighbours(in: PathText(prefix.directory))
    if let shards = neighbours.shards(of: prefix.name) { return "name the checkpoint '\(shards)'" }
    return "name the prefix '\(prefix.text)', whose index is not there"
  }

  /// For a file of a directory's checkpoints that only says which there are.
  private static func checkpoint(ofState path: PathText) -> String? {
    let directory = PathText(path.directory)
    guard let state = try? StateFile(of: directory) else { return nil }
    let target = directory.joined(state.modelCheckpointPath)
    if isCheckpoint(target) { return "it is a state file: name the checkpoint '\(target.text)'" }
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

  /// For a path with files beside it that are nearly called so, or only lack something.
  static func nearby(_ path: PathText) -> String? {
    if let whole = whole(of: path) { return whole }
    let name = path.name
    guard !name.isEmpty else { return withoutSlash(path) }
    if let shard = (try? ShardName.list(beside: path, stem: "\(name).data-"))?.first {
      return "'\(path.text).data-\(shard.text)' is there, but its index is not"
    }
    let neighbours = Neighbours(in: PathText(path.directory))
    return neighbours.nearest(to: PathText(name).dropping(".index") ?? name)
  }

  /// For a checkpoint's prefix that is spelled as a directory is.
  private static func withoutSlash(_ path: PathText) -> String? {
    let end = path.text.unicodeScalars.lastIndex { $0 != "/" }
    let prefix = end.map { String(path.text.unicodeScalars[...$0]) } ?? ""
    guard !prefix.isEmpty, isFile(PathText(prefix + ".index")) else { return nil }
    return "'\(prefix)' is a checkpoint: name it without the slash"
  }

  /// Whether a path leads to files that a checkpoint could be of.
  private static func isCheckpoint(_ path: PathText) -> Bool {
    if path.isImpossible || path.isRemote { return false }
    if isFile(PathText(path.text + ".index")) || isFile(path) { return true }
    let pattern = Pattern(path)
    return pattern.isSpecial
      && (try? pattern.matches().contains { isFile(PathText($0.string)) }) == true
  }

  private static func isFile(_ path: PathText) -> Bool {
    (try? OpenFile(FilePath(path.text)))?.isRegular == true
  }
}
