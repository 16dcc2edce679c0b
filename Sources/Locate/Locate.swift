import SystemPackage
import WarmstartKernel

extension CheckpointFiles {
  /// Finds and opens the files of a checkpoint.
  ///
  /// Waits for nothing but the file system. The path is one of these:
  ///
  /// - a directory with a state file
  /// - a V2 prefix, or its `.index` file
  /// - a V1 file, or a pattern of V1 files
  ///
  /// A relative path starts at the working directory; an absolute one may follow `file://`. A path
  /// that exists is never treated as a pattern.
  package static func locate(_ path: String) throws(LocateError) -> CheckpointFiles {
    let path = PathText(withoutScheme: path)
    if !path.isImpossible, OpenFile.isDirectory(FilePath(path.text)) {
      return try openLatest(of: path)
    }
    do throws(LocateError) {
      return try open(path)
    } catch {
      guard case .notFound = error, path.isRemote else { throw error }
      throw .notLocal(path: path.text)
    }
  }

  /// Opens the checkpoint that a directory's state file names.
  private static func openLatest(of directory: PathText) throws(LocateError) -> CheckpointFiles {
    let state = try StateFile(of: directory)
    let path = directory.joined(state.modelCheckpointPath)
    do throws(LocateError) {
      return try open(path)
    } catch {
      switch error {
      case .notFound(_, let hint):
        let isRemote = state.modelCheckpointPath.isRemote
        throw .stateTargetMissing(
          state: state.path, path: isRemote ? state.modelCheckpointPath.text : path.text,
          hint: Hint.moved(to: directory, path)
            ?? (isRemote ? "only local files can be shared" : hint))
      case .notRegular(path.text):
        throw .stateTargetNotRegular(state: state.path, path: path.text)
      default: throw error
      }
    }
  }

  /// Opens the checkpoint of a prefix, a file or a pattern.
  private static func open(_ path: PathText) throws(LocateError) -> CheckpointFiles {
    guard !path.isImpossible, !path.text.isEmpty else {
      throw .notFound(path: path.text, hint: nil)
    }
    if let found = try openIndex(of: path) { return found }
    if let prefix = path.dropping(".index"), let found = try openIndex(of: PathText(prefix)) {
      return found
    }
    if !path.name.isEmpty, let table = try OpenFile.regular(FilePath(path.text)) {
      if let hint = Hint.whole(of: path) { throw .notCheckpoint(path: path.text, hint: hint) }
      return CheckpointFiles(pattern: path, tables: [(FilePath(path.text), table)])
    }
    return try openTables(matching: path)
  }

  private static func openIndex(of prefix: PathText) throws(LocateError) -> CheckpointFiles? {
    let path = FilePath(prefix.text + ".index")
    guard let index = try OpenFile.regular(path) else { return nil }
    return try CheckpointFiles(prefix: prefix, index: index, at: path)
  }

  private static func openTables(matching path: PathText) throws(LocateError) -> CheckpointFiles {
    let pattern = Pattern(path)
    guard pattern.isSpecial else {
      throw .notFound(path: path.text, hint: Hint.nearby(path))
    }
    // TensorFlow too treats such a path as a prefix, and fails to open it.
    if let index = try Pattern(path, suffix: ".index").matches().first {
      throw .notFound(path: path.text, hint: Hint.noPattern(index))
    }
    var tables: [(path: FilePath, file: OpenFile)] = []
    for match in try pattern.matches() {
      if let file = try OpenFile.regular(match) { tables.append((match, file)) }
    }
    guard !tables.isEmpty else { throw .notFound(path: path.text, hint: Hint.nearby(path)) }
    return CheckpointFiles(pattern: path, tables: tables)
  }
}
