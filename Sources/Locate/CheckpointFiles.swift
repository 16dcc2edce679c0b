package import SystemPackage
package import WarmstartKernel
package import WarmstartTensorModel

/// The files that a checkpoint's path leads to, opened with this user's rights.
///
/// Only the daemon reads what is in them, so only the daemon knows how many shards a V2 checkpoint
/// has. It is nearly always the one total that the names say; after a checkpoint was saved over
/// with another number of shards there are several, and the index decides.
package struct CheckpointFiles: Sendable {
  /// One open file of a checkpoint.
  package struct Part: Sendable {
    package let role: FileRole
    package let path: FilePath
    package let file: File
  }

  package let format: CheckpointFormat

  /// The path as TensorFlow reports it: the V2 prefix, or the V1 file or pattern.
  package let prefix: String

  /// A prefix as it is called by whoever works in another directory.
  package static func absolute(_ prefix: String) -> String {
    let path = PathText(prefix)
    guard !path.isAbsolute, let directory = Process.workingDirectory else { return prefix }
    return PathText(directory).joined(path).text
  }

  /// The index of a V2 checkpoint, or the tables of a V1 checkpoint in the order of their names.
  package let opened: [Part]

  /// The shards that lie beside the index; nil if this user may not list their directory.
  private let listed: [ShardName]?

  /// The totals that names of shards beside the index end with, ascending; empty if none are known.
  package let totals: [Int]

  /// The total that all shards beside the index agree on.
  package var soleTotal: Int? { totals.count == 1 ? totals.first : nil }

  /// Opens the shards of one total, in order; one that is missing is left out.
  ///
  /// A shard may be missing where no tensor lies in it, as in a checkpoint copied in part. One that
  /// cannot be opened is an error, unless such ones are to be left out too.
  package func openShards(
    total: Int, leavingOutUnusable: Bool = false
  ) throws(LocateError) -> [Part] {
    let there = listed.map { $0.filter { $0.total == total }.map(\.number).sorted() }
    // Of those that are there if that is known: not all need be.
    guard (there?.count ?? total) < maximumCheckpointFiles else {
      throw .tooManyFiles(path: prefix, limit: maximumCheckpointFiles)
    }
    let numbers = there ?? Array(0..<max(0, total))
    var parts: [Part] = []
    for number in numbers {
      let name = ShardName(number: number, total: total)
      let path = FilePath("\(prefix).data-\(name.text)")
      let file: File?
      do throws(LocateError) {
        file = try OpenFile.regular(path)
      } catch {
        guard leavingOutUnusable else { throw error }
        continue
      }
      guard let file else { continue }
      parts.append(Part(role: .shard(number, of: total), path: path, file: file))
    }
    return parts
  }

  /// A V2 checkpoint whose index is open.
  init(prefix: PathText, index: File, at path: FilePath) throws(LocateError) {
    format = .v2
    self.prefix = prefix.text
    opened = [Part(role: .index, path: path, file: index)]
    do throws(LocateError) {
      listed = try ShardName.list(beside: prefix, stem: "\(prefix.name).data-")
    } catch {
      guard case .notAllowed = error else { throw error }
      listed = nil
    }
    totals = Set((listed ?? []).map(\.total)).sorted()
  }

  /// A V1 checkpoint whose tables are open.
  init(pattern: PathText, tables: [(path: FilePath, file: File)]) {
    format = .v1
    prefix = pattern.text
    opened = tables.map { Part(role: .table, path: $0.path, file: $0.file) }
    listed = []
    totals = []
  }
}
