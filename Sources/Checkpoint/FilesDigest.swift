import SystemPackage
import WarmstartKernel
import WarmstartTable
package import WarmstartTensorModel

extension FileSet {
  /// The files of a checkpoint whose bytes, one after the other, its SHA-256 is of: the index and
  /// the data files, or the tables, in order.
  ///
  /// Data files of another total, which an earlier save left, do not count.
  ///
  /// - Throws: CHECKPOINT_NOT_FOUND if the client did not pass one of them.
  package func digested(_ checkpoint: Checkpoint) throws(Problem) -> [Member] {
    var digested = isTables ? [] : [index]
    for shard in 0..<checkpoint.shardCount {
      guard let number = Int32(exactly: shard),
        let position = position(ofShard: number, of: checkpoint.shardCount)
      else {
        let name = Int32(exactly: shard).map { self.name(ofShard: $0, of: checkpoint.shardCount) }
        throw Problem(
          .checkpointNotFound,
          "the SHA-256 of the checkpoint needs \(name ?? "all data files"), which is missing")
      }
      digested.append(members[position])
    }
    return digested
  }

  /// How many bytes are read at a time; chosen, not tuned.
  private static let digestedByteCount = 1 << 20

  /// Computes the SHA-256 of files, one after the other.
  ///
  /// - Parameters:
  ///   - keepsCached: Whether the files stay in the page cache.
  ///   - checkIn: Throws if no client waits for the result any more.
  ///   - didRead: Receives the number of bytes after each read.
  /// - Throws: CHECKPOINT_CHANGED if a file has changed since the client passed it; TRUNCATED or
  ///   SYSTEM if a file cannot be read.
  package func sha256(
    of digested: [Member], keepsCached: Bool, checkIn: () throws(Problem) -> Void,
    didRead: (Int) -> Void
  ) throws(Problem) -> [UInt8] {
    guard var digest = SHA256() else {
      throw Problem(.system, "libgcrypt cannot compute a SHA-256")
    }
    var buffer = [UInt8](repeating: 0, count: Self.digestedByteCount)
    for member in digested {
      var offset = 0
      while offset < member.status.size {
        try checkIn()
        let wanted = min(buffer.count, member.status.size - offset)
        let count: Int
        do {
          count = try member.file.read(at: offset, into: &buffer, range: 0..<wanted)
        } catch {
          throw Problem(.system, "\(member) cannot be read at \(offset): \(error)")
        }
        guard count == wanted else {
          try expectUnchanged(member)
          throw Problem(
            .truncated, "\(member) ends at \(offset + count) of \(member.status.size) bytes")
        }
        digest.update(buffer.rawSpan.extracting(first: count))
        if !keepsCached { member.file.dropCached(at: offset, byteCount: count) }
        offset += count
        didRead(count)
      }
      try expectUnchanged(member)
    }
    return digest.finish()
  }

  /// The command that prints the SHA-256, for messages.
  package func sha256Command(of digested: [Member]) -> String {
    let names = digested.map { $0.file.name.map { "\(Name($0[...]))" } ?? "\($0.role)" }
    if names.count == 1 { return "sha256sum \(names[0])" }
    let shown = names.prefix(3).joined(separator: " ") + (names.count > 3 ? " …" : "")
    return "cat \(shown) | sha256sum"
  }
}
