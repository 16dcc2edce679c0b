package import SystemPackage
package import WarmstartKernel
package import WarmstartTensorModel

/// The files to which a checkpoint's path leads, opened with the rights of this user.
///
/// The client reads no index of TensorFlow's, so it does not know how many shards a V2 checkpoint
/// has. The names of the shards usually state one total. A checkpoint that was saved again with
/// another number of shards leaves names with several totals: the client passes them all, and the
/// daemon follows the index.
package struct CheckpointFiles: Sendable {
  /// One open file of a checkpoint.
  package struct Part: Sendable {
    package let role: FileRole
    package let path: FilePath
    package let file: File
    /// The file's state when it was opened.
    package let status: FileStatus

    init(_ role: FileRole, at path: FilePath, _ opened: OpenFile) {
      self.role = role
      self.path = path
      file = opened.file
      status = opened.status
    }
  }

  /// Whether the checkpoint has an index beside its data: not if its files hold tensors and what
  /// they say of them.
  package let hasIndex: Bool

  /// The path as TensorFlow reports it: the prefix of a V2 checkpoint, the file or pattern of a V1
  /// checkpoint; of other formats, the file that holds or lists the tensors.
  package let prefix: String

  /// A prefix for a reader in another working directory: absolute, unless this process has no
  /// working directory.
  package static func absolute(_ prefix: String) -> String {
    let path = PathText(prefix)
    guard !path.isAbsolute, let directory = Process.workingDirectory else { return prefix }
    return PathText(directory).joined(path).text
  }

  /// The index, or the files without one in the order of their names.
  package let opened: [Part]

  /// The shards beside the index; nil if this user may not list their directory.
  private let listed: [ShardName]?

  /// The files that a weight map names, in ascending order of their names; nil for other
  /// checkpoints.
  private let mapped: [FilePath]?

  /// The totals in the names of the shards beside the index, ascending; empty if the shards are
  /// unknown.
  package let totals: [Int]

  /// Opens the shards of one total, in order.
  ///
  /// Skips missing shards, since a checkpoint that was copied in part may lack shards that are not
  /// needed. Throws for a shard that cannot be opened, unless those are to be skipped too.
  package func openShards(
    total: Int, leavingOutUnusable: Bool = false
  ) throws(LocateError) -> [Part] {
    if let mapped {
      return try open(
        mapped.enumerated().map { ($0.offset, $0.element) }, mapped.count, leavingOutUnusable)
    }
    let there = listed.map { $0.filter { $0.total == total }.map(\.number).sorted() }
    // Open the listed shards; without a list, try all numbers.
    guard (there?.count ?? total) < maximumCheckpointFiles else {
      throw .tooManyFiles(path: prefix, limit: maximumCheckpointFiles)
    }
    let shards = (there ?? Array(0..<max(0, total))).map { number in
      let name = ShardName(number: number, total: total)
      return (number, FilePath("\(prefix).data-\(name.text)"))
    }
    return try open(shards, total, leavingOutUnusable)
  }

  private func open(
    _ shards: [(number: Int, path: FilePath)], _ total: Int, _ leavesOutUnusable: Bool
  ) throws(LocateError) -> [Part] {
    var parts: [Part] = []
    for (number, path) in shards {
      let file: OpenFile?
      do throws(LocateError) {
        file = try OpenFile.regular(path)
      } catch {
        guard leavesOutUnusable else { throw error }
        continue
      }
      guard let file else { continue }
      parts.append(Part(.shard(number, of: total), at: path, file))
    }
    return parts
  }

  /// Makes a V2 checkpoint from its open index, and lists its shards.
  init(prefix: PathText, index: OpenFile, at path: FilePath) throws(LocateError) {
    hasIndex = true
    mapped = nil
    self.prefix = prefix.text
    opened = [Part(.index, at: path, index)]
    do throws(LocateError) {
      listed = try ShardName.list(beside: prefix, stem: "\(prefix.name).data-")
    } catch {
      guard case .notAllowed = error else { throw error }
      listed = nil
    }
    totals = Set((listed ?? []).map(\.total)).sorted()
  }

  /// Makes a checkpoint from an open weight map, whose files lie beside it.
  init(map: OpenFile, at path: PathText) throws(LocateError) {
    hasIndex = true
    listed = nil
    prefix = path.text
    opened = [Part(.index, at: FilePath(path.text), map)]
    let directory = PathText(path.directory)
    let names = try WeightMapFile(map, at: path).fileNames
    mapped = names.map { FilePath(directory.joined(PathText($0)).text) }
    totals = [names.count]
  }

  /// Makes a checkpoint from open files that hold tensors and what they say of them.
  init(pattern: PathText, files: [(path: FilePath, file: OpenFile)]) {
    hasIndex = false
    mapped = nil
    prefix = pattern.text
    opened = files.map { Part(.whole, at: $0.path, $0.file) }
    listed = []
    totals = []
  }
}
