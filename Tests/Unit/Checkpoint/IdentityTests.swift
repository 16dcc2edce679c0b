import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// What distinguishes a file, or a state of its bytes, from another: each property separately.
@Suite struct IdentityTests {
  /// The properties that may differ between two looks at a file.
  enum Difference: CaseIterable {
    case device, inode, size, modified, changed

    func applied(to status: FileStatus) -> FileStatus {
      switch self {
      case .device: status.changing(device: status.device + 1)
      case .inode: status.changing(inode: status.inode + 1)
      case .size: status.changing(size: status.size + 1)
      case .modified: status.changing(modified: status.modified + 1)
      case .changed: status.changing(changed: status.changed + 1)
      }
    }
  }

  private let opened: Opened

  init() throws {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [4], floats(4))
    opened = try Opened(writer)
  }

  @Test(arguments: Difference.allCases)
  func `each difference of a file makes another identity`(_ difference: Difference) {
    let status = opened.files.members[0].status
    #expect(Generation.isSameBytes(status, status))
    #expect(!Generation.isSameBytes(difference.applied(to: status), status))
  }

  @Test func `a change of ctime counts even if only names came or went`() {
    let status = opened.files.members[0].status
    let linked = status.changing(changed: status.changed + 1, linkCount: status.linkCount + 1)
    #expect(!Generation.isSameBytes(linked, status))
    #expect(Generation.isRelinked(linked, since: status))
  }

  @Test(arguments: Difference.allCases)
  func `a change of ctime and link count alone is a change of names only`(_ difference: Difference)
  {
    let status = opened.files.members[0].status
    let linked = status.changing(linkCount: status.linkCount + 1)
    #expect(
      Generation.isRelinked(difference.applied(to: linked), since: status)
        == (difference == .changed))
    #expect(!Generation.isRelinked(difference.applied(to: status), since: status))
  }

  @Test(arguments: Difference.allCases, [0, 1])
  func `each difference of any file makes another generation`(
    _ difference: Difference, _ position: Int
  ) throws {
    var members = opened.files.members
    let generation = try Generation(members, openedBy: 1000)
    #expect(generation == opened.files.generation)
    let member = members[position]
    members[position] = .init(
      role: member.role, file: member.file, status: difference.applied(to: member.status))
    #expect(try Generation(members, openedBy: 1000) != generation)
  }

  @Test func `the digits of a generation differ as soon as a file has another role`() throws {
    let members = opened.files.members
    let generation = try Generation(members, openedBy: 1000)
    let roles: [FileRole] = [.index, .shard(0, of: 1), .shard(0, of: 2), .shard(1, of: 2), .whole]
    let all = try roles.map { role in
      let file = FileSet.Member(role: role, file: members[0].file, status: members[0].status)
      return try Generation([file, members[1]], openedBy: 1000).description
    }
    #expect(Set(all).count == roles.count)
    #expect(all[0] == generation.description)
  }

  @Test func `files of two users are never shared on file systems that users control`()
    throws
  {
    // A regular file on an untrusted file system.
    let file = try File(opening: "/proc/version")
    let strange = FileSet.Member(role: .index, file: file, status: try file.status())
    let members = opened.files.members
    #expect(try Generation(members, openedBy: 1) == Generation(members, openedBy: 2))
    for index in [[strange, members[1]], [members[0], strange]] {
      #expect(try Generation(index, openedBy: 1) != Generation(index, openedBy: 2))
      #expect(try Generation(index, openedBy: 1) == Generation(index, openedBy: 1))
    }
  }

  @Test(arguments: [0x794c_7630, 0x6573_5546, 0x6969, 0x0102_1997, 0x8584_58f6] as [Int64])
  func `neither stacked nor foreign file systems are trusted`(_ number: Int64) {
    // overlay, FUSE, NFS, 9p, ramfs.
    #expect(!Generation.trustedFileSystems.contains(number))
  }

  @Test func `the index and one file of each other device stay open`() throws {
    let members = opened.files.members
    #expect(opened.files.heldPositions.count == 1)
    let elsewhere = try File(opening: "/proc/version")
    let set = try FileSet(
      [
        (.index, members[0].file), (.shard(0, of: 3), elsewhere),
        (.shard(1, of: 3), try File(opening: "/proc/version")),
        (.shard(2, of: 3), members[1].file),
      ], openedBy: 1000)
    #expect(set.heldPositions.count == 2)
    #expect(set.members[set.heldPositions[1]].file === elsewhere)
  }

  @Test func `a file that has just changed is examined again until its time has passed`() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/young"
    try BundleFile.write([(0, [1, 2, 3])], byteCount: nil, to: path)
    let file = try File(opening: FilePath(path))
    let set = try FileSet([(.index, file)], openedBy: 1000)
    // From here on, every write shows.
    try BundleFile.overwrite(path, at: 0, [4])
    #expect(!Generation.isSameBytes(try file.status(), set.members[0].status))
  }
}
