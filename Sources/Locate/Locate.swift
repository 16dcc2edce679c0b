import SystemPackage
import WarmstartKernel

extension CheckpointFiles {
  /// Finds and opens the files of a checkpoint.
  ///
  /// Waits for nothing but the file system. The path is one of these:
  ///
  /// - a directory with a state file, or with a model of the library transformers
  /// - a V2 prefix, or its `.index` file
  /// - a file that lists the tensors of others, such as `model.safetensors.index.json` or
  ///   `model.weights.json`
  /// - a file that holds tensors and what it says of them, such as a V1 file or one of safetensors;
  ///   or a pattern of them
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

  /// The names of a model in a directory without a state file, in the order of the library
  /// transformers.
  private static let modelNames = [
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
    "pytorch_model.bin.index.json",
  ]

  /// Opens the checkpoint that a directory's state file names, or a model in it.
  private static func openLatest(of directory: PathText) throws(LocateError) -> CheckpointFiles {
    let state: StateFile
    do throws(LocateError) {
      state = try StateFile(of: directory)
    } catch {
      guard case .stateMissing = error, let model = try openModel(in: directory) else {
        throw error
      }
      return model
    }
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

  private static func openModel(in directory: PathText) throws(LocateError) -> CheckpointFiles? {
    for name in modelNames {
      let path = directory.joined(PathText(name))
      if try OpenFile.regular(FilePath(path.text)) != nil { return try open(path) }
    }
    return nil
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
    if !path.name.isEmpty, let file = try OpenFile.regular(FilePath(path.text)) {
      if WeightMapFile.suffixes.contains(where: { path.dropping($0) != nil }) {
        return try CheckpointFiles(map: file, at: path)
      }
      if let hint = Hint.whole(of: path) { throw .notCheckpoint(path: path.text, hint: hint) }
      return CheckpointFiles(pattern: path, files: [(FilePath(path.text), file)])
    }
    return try openFiles(matching: path)
  }

  private static func openIndex(of prefix: PathText) throws(LocateError) -> CheckpointFiles? {
    let path = FilePath(prefix.text + ".index")
    guard let index = try OpenFile.regular(path) else { return nil }
    return try CheckpointFiles(prefix: prefix, index: index, at: path)
  }

  private static func openFiles(matching path: PathText) throws(LocateError) -> CheckpointFiles {
    let pattern = Pattern(path)
    guard pattern.isSpecial else {
      throw .notFound(path: path.text, hint: Hint.nearby(path))
    }
    // TensorFlow too treats such a path as a prefix, and fails to open it.
    if let index = try Pattern(path, suffix: ".index").matches().first {
      throw .notFound(path: path.text, hint: Hint.noPattern(index))
    }
    var files: [(path: FilePath, file: OpenFile)] = []
    for match in try pattern.matches() {
      if let file = try OpenFile.regular(match) { files.append((match, file)) }
    }
    guard !files.isEmpty else { throw .notFound(path: path.text, hint: Hint.nearby(path)) }
    return CheckpointFiles(pattern: path, files: files)
  }
}
