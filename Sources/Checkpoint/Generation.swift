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

  package init(_ members: [FileSet.Member], openedBy uid: UInt32) throws(Problem) {
    let identities = members.map {
      Member(
        role: $0.role, device: $0.status.device, inode: $0.status.inode, size: $0.status.size,
        modified: $0.status.modified, changed: $0.status.changed)
    }
    self.members = identities
    digits = Generation.digits(identities)
    // Asked once for each device: all files are mostly on one.
    var trusted: [UInt64: Bool] = [:]
    for member in members where trusted[member.status.device] == nil {
      do {
        trusted[member.status.device] = Generation.trustedFileSystems.contains(
          try member.file.fileSystem())
      } catch {
        throw Problem(.system, "the file system of \(member) cannot be examined: \(error)")
      }
    }
    owner = trusted.values.allSatisfy { $0 } ? nil : uid
  }

  /// Whether all files are on file systems that no user can run, so that they answer.
  var isOnTrustedFileSystems: Bool { owner == nil }

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
}

extension Generation: CustomStringConvertible {
  /// Sixteen hexadecimal digits (FNV-1a) for people, logs and calls of administrators.
  ///
  /// Equality compares everything. Different generations may have the same digits: a user can choose
  /// files for that, and the digits leave out the owner.
  package var description: String { digits }

  private static func digits(_ members: [Member]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for member in members {
      let role =
        switch member.role {
        case .index: (0, 0)
        case .shard(let shard, of: let total): (shard, total)
        case .table: (0, -1)
        }
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
