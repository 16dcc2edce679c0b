import WarmstartKernel
package import WarmstartTensorModel

extension Checkpoint {
  /// Reads the index of a V2 checkpoint, or the lists in a V1 checkpoint's tables.
  ///
  /// - Parameters:
  ///   - reserve: Gets the memory that reading takes in all, before it is taken; throws to refuse
  ///     it.
  ///   - checkIn: Throws if no client waits for the result any more. Called between steps, since an
  ///     index may have millions of entries, and a checkpoint thousands of tables.
  /// - Throws: What is wrong. A file that has changed since the client passed it is
  ///   `checkpointChanged`, whatever it contains; a file of another format is `unsupported`, and
  ///   one that Git LFS has not fetched is `checkpointNotFound`.
  package static func read(
    _ files: FileSet, reserving reserve: @escaping (Int) throws(Problem) -> Void = { _ in },
    checkIn: @escaping () throws(Problem) -> Void = {}
  ) throws(Problem) -> Checkpoint {
    do {
      return try files.isTables
        ? readTables(files, reserve, checkIn) : readIndex(files, reserve, checkIn)
    } catch {
      guard error.reason == .corrupt || error.reason == .truncated else { throw error }
      for member in files.members {
        if case .shard = member.role { continue }
        if let problem = ForeignFile.problem(with: member) { throw problem }
      }
      throw error
    }
  }

  private static func readIndex(
    _ files: FileSet, _ reserve: @escaping (Int) throws(Problem) -> Void,
    _ checkIn: @escaping () throws(Problem) -> Void
  ) throws(Problem) -> Checkpoint {
    let checkpoint: Checkpoint
    do throws(IndexError) {
      checkpoint = try BundleReader.read(
        TableFile(files.index, checkIn: checkIn), reserving: reserve, checkIn: checkIn)
    } catch {
      throw try problem(error, with: files.index, of: files)
    }
    try files.expectUnchanged(files.index)
    return checkpoint
  }

  private static func readTables(
    _ files: FileSet, _ reserve: @escaping (Int) throws(Problem) -> Void,
    _ checkIn: @escaping () throws(Problem) -> Void
  ) throws(Problem) -> Checkpoint {
    var reader = V1Reader(reserving: reserve, checkIn: checkIn)
    for (position, member) in files.members.enumerated() {
      if position > 0 { try checkIn() }
      do throws(IndexError) {
        try reader.read(TableFile(member, checkIn: checkIn), Int32(position))
      } catch {
        throw try problem(error, with: member, of: files)
      }
    }
    for member in files.members { try files.expectUnchanged(member) }
    return reader.finish(tableCount: files.members.count)
  }

  /// Describes an error.
  ///
  /// Throws `checkpointChanged` instead if a file has changed, since such a file looks corrupt.
  private static func problem(
    _ error: IndexError, with member: FileSet.Member, of files: FileSet
  ) throws(Problem) -> Problem {
    if case .stopped(let problem) = error { return problem }
    for member in files.members {
      if case .shard = member.role { continue }
      try files.expectUnchanged(member)
    }
    return Problem(error, in: "\(member)")
  }
}
