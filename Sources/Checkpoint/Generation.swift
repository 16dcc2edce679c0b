import SystemPackage
package import WarmstartKernel
package import WarmstartTensorModel

/// The identity of a checkpoint's bytes: its files in order, and the state of each.
///
/// Clients that pass the same files share what the daemon made from them. Device and inode identify
/// a file only while it is open, so the store keeps the index open.
package struct Generation: Sendable, Hashable {
  private struct Member: Sendable, Hashable {
    let role: FileRole
    let device: UInt64
    let inode: UInt64
    let size: Int
    let modified: Int64
    let changed: Int64
  }

  private let members: [Member]
  private let digits: String
  /// The user, if users can forge identities on one of the file systems; nil if all users share.
  private let owner: UInt32?
  /// Whether the files are best read from start to end by one thread: on FUSE, where a mount of an
  /// object store fetches again what reads skip.
  package let isReadInOrder: Bool

  package init(_ members: [FileSet.Member], openedBy uid: UInt32) throws(Problem) {
    let identities = members.map {
      Member(
        role: $0.role, device: $0.status.device, inode: $0.status.inode, size: $0.status.size,
        modified: $0.status.modified, changed: $0.status.changed)
    }
    self.members = identities
    digits = Generation.digits(identities)
    let fileSystems = try members.fileSystems()
    owner = fileSystems.isSubset(of: Generation.trustedFileSystems) ? nil : uid
    isReadInOrder = fileSystems.contains(Generation.userSpaceFileSystem)
  }

  /// The number of files.
  package var fileCount: Int { members.count }

  /// Whether two states of one path are the same file with the same size and times.
  package static func isSameBytes(_ left: FileStatus, _ right: FileStatus) -> Bool {
    left.device == right.device && left.inode == right.inode && left.size == right.size
      && left.modified == right.modified && left.changed == right.changed
  }

  /// Whether a file has changed in nothing but its links, which changes its time as a write does.
  ///
  /// The bytes may have changed too: a user who may write them can set the other time back.
  package static func isRelinked(_ now: FileStatus, since then: FileStatus) -> Bool {
    now.device == then.device && now.inode == then.inode && now.size == then.size
      && now.modified == then.modified && now.linkCount != then.linkCount
  }

  /// The `statfs(2)` numbers of ext4, xfs, btrfs and tmpfs, where users cannot choose device, inode
  /// or times.
  ///
  /// A stacked file system (overlay) reports what its layers report, and a user can mount one on a
  /// file system that the user runs. Only its mount namespace knows the layers, so none is trusted.
  package static let trustedFileSystems: Set<Int64> = [
    0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994,
  ]
  /// The `statfs(2)` number of FUSE.
  private static let userSpaceFileSystem: Int64 = 0x6573_5546
}

extension Generation {
  /// Whether users cannot forge it, because all files are on trusted file systems.
  ///
  /// Only these files may be given to the service manager: it closes files on its main thread, and
  /// a user's own file system can make that hang.
  package var isShared: Bool { owner == nil }

  /// The number of words that `append` adds.
  var wordCount: Int { 2 + Generation.wordsEach * members.count }
  /// A role takes two words, and each of the other properties one.
  private static let wordsEach = 7

  /// Adds the files, and who they are shared with, to words.
  package func append(to words: inout StateWriter) {
    words.append(members.count)
    for member in members {
      let role = Generation.numbers(of: member.role)
      words.append(role.0)
      words.append(role.1)
      words.append(member.device)
      words.append(member.inode)
      words.append(member.size)
      words.append(Int(member.modified))
      words.append(Int(member.changed))
    }
    words.append(owner.map { Int($0) } ?? -1)
  }

  /// Reads a generation from words.
  package init(reading words: inout StateReader) throws(Problem) {
    var members: [Member] = []
    for _ in 0..<(try words.count(wordsEach: Generation.wordsEach)) {
      members.append(
        Member(
          role: try Generation.role(try words.number(), try words.number()),
          device: try words.word(), inode: try words.word(), size: try words.number(),
          modified: Int64(try words.number()), changed: Int64(try words.number())))
    }
    self.members = members
    digits = Generation.digits(members)
    let owner = try words.number(in: -1...Int(UInt32.max))
    self.owner = owner < 0 ? nil : UInt32(owner)
    // Files on FUSE are not handed over.
    isReadInOrder = false
  }

  /// The role of the file at a position; nil if there is none.
  func role(at position: Int) -> FileRole? {
    members.indices.contains(position) ? members[position].role : nil
  }

  /// Whether the file at a position has this status.
  package func hasFile(_ status: FileStatus, at position: Int) -> Bool {
    let member = members[position]
    return member.device == status.device && member.inode == status.inode
      && member.size == status.size && member.modified == status.modified
      && member.changed == status.changed
  }

  /// Two numbers that stand for a role.
  private static func numbers(of role: FileRole) -> (Int, Int) {
    switch role {
    case .index: (0, 0)
    case .shard(let shard, of: let total): (shard, total)
    case .whole: (0, -1)
    }
  }

  private static func role(_ first: Int, _ second: Int) throws(Problem) -> FileRole {
    switch (first, second) {
    case (0, 0): return .index
    case (0, -1): return .whole
    case (0..., 1...) where first < second: return .shard(first, of: second)
    default: throw Problem(state: "a file has the unknown role \(first) of \(second)")
    }
  }
}

extension Generation: CustomStringConvertible {
  /// Sixteen hexadecimal digits (FNV-1a) for people, logs and calls of administrators.
  ///
  /// Equality compares everything. Different generations may have the same digits: a user can
  /// choose files for that, and the digits leave out the owner.
  package var description: String { digits }

  private static func digits(_ members: [Member]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for member in members {
      let role = numbers(of: member.role)
      for word in [
        UInt64(bitPattern: Int64(role.0)), UInt64(bitPattern: Int64(role.1)), member.device,
        member.inode, UInt64(bitPattern: Int64(member.size)),
        UInt64(bitPattern: member.modified), UInt64(bitPattern: member.changed),
      ] {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
          hash = (hash ^ (word >> shift & 0xff)) &* 0x100_0000_01b3
        }
      }
    }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension [FileSet.Member] {
  /// The `statfs(2)` numbers of the file systems that the files are on.
  func fileSystems() throws(Problem) -> Set<Int64> {
    // Asked once for each device: all files are mostly on one.
    var found: [UInt64: Int64] = [:]
    for member in self where found[member.status.device] == nil {
      do {
        found[member.status.device] = try member.file.fileSystem()
      } catch {
        throw Problem(.system, "the file system of \(member) cannot be examined: \(error)")
      }
    }
    return Set(found.values)
  }
}
