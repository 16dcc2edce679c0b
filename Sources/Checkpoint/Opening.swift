import WarmstartKernel
package import WarmstartTensorModel

extension Checkpoint {
  /// Reads what the files say of their tensors: the index of a V2 checkpoint, the lists in a V1
  /// checkpoint's tables, or the headers of files of other formats.
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
    let (isMap, isWhole) = try reading(files.index, of: files, checkIn) { file throws(IndexError) in
      let head = try file.head()
      guard files.index.role == .whole else { return (WeightMap.recognizes(head.span), false) }
      return (false, WholeFormat(head.span, fileByteCount: file.byteCount) != nil)
    }
    if isMap { return try readWhole(files, files.index, reserve, checkIn) }
    if isWhole { return try readWhole(files, nil, reserve, checkIn) }
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

  /// Reads files without an index of TensorFlow's: one or several that hold their own, and perhaps
  /// the map that says which of them holds which tensor.
  private static func readWhole(
    _ files: FileSet, _ map: FileSet.Member?, _ reserve: @escaping (Int) throws(Problem) -> Void,
    _ checkIn: @escaping () throws(Problem) -> Void
  ) throws(Problem) -> Checkpoint {
    var memory = ReaderMemory(reserve)
    var tensors = FoundTensors()
    var weights: WeightMap?
    if let map {
      weights = try reading(map, of: files, checkIn) { file throws(IndexError) in
        try WeightMap(file, &memory, checkIn: checkIn)
      }
    }
    let count = weights?.fileNames.count ?? files.members.count
    var format: CheckpointFormat?
    for number in 0..<count {
      if number > 0 { try checkIn() }
      guard let position = files.position(ofShard: Int32(number), of: count) else {
        let name = weights?.fileNames[number] ?? ""
        throw Problem(
          .checkpointNotFound, "file \(name), which \(files.index) names, is missing")
      }
      let member = files.members[position]
      tensors.file = Int32(number)
      if let pointer = ForeignFile.pointer(member) { throw pointer }
      try reading(member, of: files, checkIn) { file throws(IndexError) in
        guard let own = try file.wholeFormat() else {
          throw .malformed(at: 0, "is of no format that a file of such a checkpoint may have")
        }
        let found = try own.read(file, to: &tensors, &memory, checkIn: checkIn)
        guard format == nil || format == found else {
          throw .malformed(at: 0, "has another format than the files before it")
        }
        format = found
      }
    }
    guard let format else {
      throw Problem(.corrupt, "\(files.index) names no files")
    }
    let checkpoint = try reading(map ?? files.index, of: files, checkIn) { _ throws(IndexError) in
      let checkpoint = try tensors.checkpoint(format, fileCount: count) { number in
        files.name(ofShard: number, of: count)
      }
      try weights?.expect(checkpoint)
      return checkpoint
    }
    for member in files.members { try files.expectUnchanged(member) }
    return checkpoint
  }

  /// Runs the body with a file, and words its error for the client.
  private static func reading<Result>(
    _ member: FileSet.Member, of files: FileSet, _ checkIn: @escaping () throws(Problem) -> Void,
    _ body: (IndexFile) throws(IndexError) -> Result
  ) throws(Problem) -> Result {
    do throws(IndexError) {
      return try body(IndexFile(member, checkIn: checkIn))
    } catch {
      throw try problem(error, with: member, of: files)
    }
  }

  private static func readIndex(
    _ files: FileSet, _ reserve: @escaping (Int) throws(Problem) -> Void,
    _ checkIn: @escaping () throws(Problem) -> Void
  ) throws(Problem) -> Checkpoint {
    let checkpoint: Checkpoint
    do throws(IndexError) {
      checkpoint = try BundleReader.read(
        IndexFile(files.index, checkIn: checkIn), reserving: reserve, checkIn: checkIn)
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
        try reader.read(IndexFile(member, checkIn: checkIn), Int32(position))
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
    try files.expectUnchanged(member)
    for member in files.members {
      if case .shard = member.role { continue }
      try files.expectUnchanged(member)
    }
    return Problem(error, in: "\(member)")
  }
}
