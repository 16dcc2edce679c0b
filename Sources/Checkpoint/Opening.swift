import SystemPackage
import WarmstartKernel
package import WarmstartTensorModel

extension Checkpoint {
  /// Reads the index of a V2 checkpoint, or the lists of a V1 checkpoint's tables.
  ///
  /// `reserve` is told how much memory reading takes in all, before it is taken; it may say no.
  /// `checkIn` throws if nobody waits for the result any more: an index may have millions of
  /// entries, and a checkpoint thousands of tables. A file of another format is `unsupported`, and
  /// one that Git LFS has not fetched `checkpointNotFound`, rather than damaged.
  package static func read(
    _ files: FileSet, reserving reserve: @escaping (Int) throws(Problem) -> Void,
    checkIn: @escaping () throws(Problem) -> Void = {}
  ) throws(Problem) -> Checkpoint {
    do {
      guard files.isTables else {
        return try BundleReader.read(files, reserving: reserve, checkIn: checkIn)
      }
      return try readTables(files, reserving: reserve, checkIn: checkIn)
    } catch {
      guard error.reason == .corrupt || error.reason == .truncated else { throw error }
      for member in files.members {
        if case .shard = member.role { continue }
        if let problem = ForeignFile.problem(with: member) { throw problem }
      }
      throw error
    }
  }

  private static func readTables(
    _ files: FileSet, reserving reserve: @escaping (Int) throws(Problem) -> Void,
    checkIn: @escaping () throws(Problem) -> Void
  ) throws(Problem) -> Checkpoint {
    let sources = files.members.map { member in
      SavedSlicesReader.Source(
        name: "\(member)", byteCount: member.status.size
      ) { range throws(Problem) in try files.read(range, of: member, checkIn) }
    }
    let read = Result { () throws(Problem) in
      try SavedSlicesReader.read(sources, reserving: reserve, checkIn: checkIn)
    }
    // A file that is being written looks corrupt, or is another one: that it changed is the better
    // answer.
    for member in files.members { try files.expectUnchanged(member) }
    return try read.get()
  }
}

extension FileSet {
  /// Reads a range of a file, all of it.
  fileprivate func read(
    _ range: Range<Int>, of member: Member, _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    let count: Int
    do {
      count = try member.file.read(at: range.lowerBound, into: &bytes, checkIn: checkIn)
    } catch let problem as Problem {
      throw problem
    } catch {
      throw Problem(.system, "\(member) cannot be read: \(error)")
    }
    guard count == range.count else {
      throw Problem(
        .truncated,
        "\(member) ended after \(range.lowerBound + count) bytes, expected \(member.status.size)")
    }
    return bytes
  }
}

extension File {
  /// Bytes of an index that are read at a time; chosen, not tuned.
  private static let chunkByteCount = 4 << 20

  /// Reads from an offset until the buffer is full or the file ends, and returns the byte count.
  ///
  /// Throws `Errno`, or what `checkIn` throws, which is called between chunks.
  func read(
    at offset: Int, into buffer: inout [UInt8], checkIn: () throws(Problem) -> Void
  ) throws -> Int {
    var count = 0
    while count < buffer.count {
      if count > 0 { try checkIn() }
      let chunk = count..<min(buffer.count, count + File.chunkByteCount)
      let read = try read(at: offset + count, into: &buffer, range: chunk)
      count += read
      if read < chunk.count { break }
    }
    return count
  }
}
