import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

/// The regions that the replies to one call name, and the arenas' files that the next reply
/// carries.
struct Regions {
  private let open: OpenCheckpoint
  private(set) var all: [Answer.Region] = []
  /// The regions that no reply has named yet.
  var messages: [ResolveReply.Region] = []
  var files: [File] = []
  /// The region of each file of the checkpoint, or -1.
  private var fileRegions: [Int]
  private var arenaRegions: [UInt64: Int] = [:]

  init(_ open: OpenCheckpoint) {
    self.open = open
    fileRegions = Array(repeating: -1, count: open.files.members.count)
  }

  /// Whether the next reply can carry no further file.
  var isFull: Bool { files.count == Connection.maximumDescriptors }

  /// Adds a file of the checkpoint, unless it was added; returns the region's position among all.
  mutating func name(file position: Int) throws(CallFailure) -> Int {
    if fileRegions[position] < 0 {
      fileRegions[position] = all.count
      try append(.file(position))
    }
    return fileRegions[position]
  }

  /// Adds an arena, unless it was added; returns the region's position among all.
  mutating func name(_ arena: ArenaHolder) throws(CallFailure) -> Int {
    if let known = arenaRegions[arena.id] { return known }
    arenaRegions[arena.id] = all.count
    try append(.arena(arena))
    return all.count - 1
  }

  private mutating func append(_ region: Answer.Region) throws(CallFailure) {
    messages.append(try open.message(region, &files))
    all.append(region)
  }
}

extension OpenCheckpoint {
  /// Describes one of the checkpoint's files to the client.
  func region(file position: Int) -> ResolveReply.Region {
    // Even ids are files, odd ones arenas; a connection's handles are never reused.
    ResolveReply.Region(
      id: (handle << 16 | UInt64(position)) << 1, place: .file(position),
      byteCount: files.members[position].status.size, isSealed: false)
  }

  /// Describes a region to the client; an arena's file is added to those that are sent.
  func message(
    _ region: Answer.Region, _ sent: inout [File]
  ) throws(CallFailure) -> ResolveReply.Region {
    switch region {
    case .file(let position):
      return self.region(file: position)
    case .arena(let holder):
      do {
        sent.append(File(try holder.grant(to: lease.account.uid)))
      } catch {
        throw .status(CallStatus(.quota, "an arena cannot be opened for the client: \(error)"))
      }
      return ResolveReply.Region(
        id: holder.id << 1 | 1, place: .arena(descriptor: sent.count - 1),
        byteCount: holder.arena.byteCount, isSealed: true)
    }
  }
}
