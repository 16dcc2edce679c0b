import SystemPackage
package import WarmstartKernel
package import WarmstartTensorModel

/// The open files of a checkpoint, as one client passed them, and the role of each.
///
/// Every read goes through the descriptors of the client that waits for it. What a client does to
/// its descriptors, or its file system to reads, can fail only that client's calls.
package struct FileSet: Sendable {
  /// A file, and its status when the client passed it.
  package struct Member: Sendable {
    package let role: FileRole
    package let file: File
    package let status: FileStatus

    package init(role: FileRole, file: File, status: FileStatus) {
      self.role = role
      self.file = file
      self.status = status
    }
  }

  /// The files in the client's order; regions refer to their positions.
  package let members: [Member]
  /// The identity of the bytes.
  package let generation: Generation
  /// The user who passed them.
  package let openedBy: UInt32
  /// The positions of the shards among the members, in ascending order of total and shard.
  private let shards: [(total: Int, shard: Int, position: Int)]
  private let indexPosition: Int

  /// Accepts the files of a checkpoint, and waits for those that have just changed.
  ///
  /// A file must be regular, readable and not writable: by passing it the client proves that it may
  /// read the bytes, and grants no more.
  ///
  /// - Parameters:
  ///   - checkIn: Throws if no client waits for the result any more.
  /// - Throws: Which file cannot be accepted, and why.
  package init(
    _ files: [(role: FileRole, file: File)], openedBy uid: UInt32,
    checkIn: () throws(Problem) -> Void = {}
  ) throws(Problem) {
    var members: [Member] = []
    // When the wait for all files together began.
    var began: Int64?
    var shards: [(total: Int, shard: Int, position: Int)] = []
    var index: Int?
    let tableCount = files.count { $0.role == .whole }
    guard tableCount == 0 || tableCount == files.count else {
      throw Problem(.invalidRequest, "the checkpoint has files with and without an index")
    }
    for (position, (role, file)) in files.enumerated() {
      let status = try FileSet.settled(
        file, try FileSet.accept(file, as: "\(role)"), as: role, since: &began, checkIn)
      members.append(Member(role: role, file: file, status: status))
      switch role {
      case .index:
        guard index == nil else { throw Problem(.invalidRequest, "the checkpoint has two indexes") }
        index = position
      case .shard(let shard, of: let total): shards.append((total, shard, position))
      case .whole:
        // The first table takes the index's place.
        index = index ?? position
        shards.append((tableCount, position, position))
      }
    }
    guard let index else { throw Problem(.invalidRequest, "the checkpoint has no index file") }
    self.members = members
    openedBy = uid
    indexPosition = index
    shards.sort { ($0.total, $0.shard) < ($1.total, $1.shard) }
    for (before, after) in zip(shards, shards.dropFirst())
    where (before.total, before.shard) == (after.total, after.shard) {
      throw Problem(
        .invalidRequest, "the checkpoint has \(members[after.position]) twice")
    }
    self.shards = shards
    generation = try Generation(members, openedBy: uid)
  }

  /// Takes over the held files of a checkpoint from an earlier process.
  ///
  /// Only these files can be read through this set, and a V1 checkpoint must have one table.
  ///
  /// - Parameters:
  ///   - files: The files at `positions` among the generation's, in ascending order.
  /// - Throws: CORRUPT if a file is not the one that the generation has there, or has changed.
  package init(
    restoring files: [File], at positions: [Int], of generation: Generation, openedBy uid: UInt32
  ) throws(Problem) {
    var members: [Member] = []
    for (file, position) in zip(files, positions) {
      guard let role = generation.role(at: position) else {
        throw Problem(state: "it names file \(position) of a generation that has fewer")
      }
      let status = try FileSet.accept(file, as: "\(role)")
      guard generation.hasFile(status, at: position) else {
        throw Problem(state: "the \(role) has changed since")
      }
      members.append(Member(role: role, file: file, status: status))
    }
    guard files.count == positions.count, zip(positions, positions.dropFirst()).allSatisfy(<),
      let index = members.firstIndex(where: { $0.role == .index || $0.role == .whole }),
      generation.isShared,
      try members.fileSystems().isSubset(of: Generation.trustedFileSystems)
    else {
      throw Problem(state: "its files are not those of a shared checkpoint")
    }
    self.members = members
    self.generation = generation
    openedBy = uid
    indexPosition = index
    var shards: [(total: Int, shard: Int, position: Int)] = []
    for (position, member) in members.enumerated() {
      switch member.role {
      case .index: continue
      case .shard(let shard, of: let total): shards.append((total, shard, position))
      case .whole: shards.append((1, 0, position))
      }
    }
    self.shards = shards.sorted { ($0.total, $0.shard) < ($1.total, $1.shard) }
  }

  /// The index file, or the first V1 table.
  package var index: Member { members[indexPosition] }

  /// The positions of the index and of one file on each other device.
  ///
  /// While they are open, the kernel gives the index's number to no other file, and the numbers of
  /// these devices to no other file system.
  package var heldPositions: [Int] {
    var found = [indexPosition]
    for (position, member) in members.enumerated()
    where found.allSatisfy({ members[$0].status.device != member.status.device }) {
      found.append(position)
    }
    return found
  }

  /// Why no later process can read the index again through the held files alone, as a clause; nil
  /// if one can.
  package func obstacleToHandingOver(_ format: CheckpointFormat) -> String? {
    guard generation.isShared else {
      return "one of its files is on another file system than ext4, xfs, btrfs and tmpfs"
    }
    guard format == .v2 || members.count == 1 else {
      return "it has several files, and each of them says what is in it"
    }
    return nil
  }

  /// Whether the files are tables of a V1 checkpoint.
  var isTables: Bool { index.role == .whole }

  /// The position of a shard, or of a V1 table, among the members; nil if the client did not pass
  /// it.
  ///
  /// A checkpoint that was saved again with another number of shards leaves files of both totals.
  package func position(ofShard shard: Int32, of total: Int) -> Int? {
    let wanted = (total, Int(shard))
    let place = shards.indices.firstPosition { (shards[$0].total, shards[$0].shard) >= wanted }
    guard place < shards.count, (shards[place].total, shards[place].shard) == wanted else {
      return nil
    }
    return shards[place].position
  }

  /// What messages call a shard or a V1 table: the name of its file, even if the file is missing.
  package func name(ofShard shard: Int32, of total: Int) -> String {
    if let position = position(ofShard: shard, of: total) { return "\(members[position])" }
    let suffix = ".index".utf8
    guard !isTables, let name = index.file.name, name.suffix(suffix.count).elementsEqual(suffix)
    else { return "\(FileRole.shard(Int(shard), of: total))" }
    let prefix = Name(name.dropLast(suffix.count))
    return "data file \(prefix).data-\(ShardName(number: Int(shard), total: total).text)"
  }

  /// Whether the files may have changed in nothing but their names: links that were added or
  /// removed.
  ///
  /// Then the caller can open them again, and must verify them again.
  package var areOnlyRelinked: Bool {
    members.allSatisfy { member in
      guard let now = try? member.file.status() else { return false }
      return Generation.isSameBytes(now, member.status)
        || Generation.isRelinked(now, since: member.status)
    }
  }

  /// Throws `checkpointChanged` if a file has changed since the client passed it.
  package func expectUnchanged(_ member: Member) throws(Problem) {
    try FileSet.expectUnchanged(member.file, since: member.status, "\(member)")
  }

  /// Throws `checkpointChanged` if the file at a position has changed since the client passed it.
  ///
  /// A member that is not copied leaves the counts of its other references alone.
  package func expectUnchanged(at position: Int) throws(Problem) {
    try FileSet.expectUnchanged(
      members[position].file, since: members[position].status, "\(members[position])")
  }

  private static func expectUnchanged(
    _ file: File, since then: FileStatus, _ name: @autoclosure () -> String
  ) throws(Problem) {
    let now: FileStatus
    do {
      now = try file.status()
    } catch {
      throw Problem(.system, "\(name()) cannot be examined: \(error)")
    }
    guard Generation.isSameBytes(now, then) else {
      throw Problem(
        .checkpointChanged, "\(name()) has changed since it was opened; open it again")
    }
  }
}

extension FileSet {
  /// Adds the names of missing V1 tables to the first problem that their absence may explain.
  package func explained(_ problems: [Problem]) -> [Problem] {
    let causes: Set<Reason> = [.tensorNotFound, .slicesIncomplete]
    guard isTables, let first = problems.firstIndex(where: { causes.contains($0.reason) }) else {
      return problems
    }
    let names = members.compactMap { member in member.file.name.map { Name($0[...]) } }
    guard let message = TableNames(names).message else { return problems }
    var problems = problems
    problems[first].message += "; \(message)"
    return problems
  }
}

extension FileSet.Member: CustomStringConvertible {
  /// The role of the file, and its name if the kernel reports one: `index file model.index`.
  package var description: String {
    guard let name = file.name else { return "\(role)" }
    let kind =
      switch role {
      case .index: "index file"
      case .shard: "data file"
      case .whole: "file"
      }
    return "\(kind) \(Name(name[...]))"
  }
}
