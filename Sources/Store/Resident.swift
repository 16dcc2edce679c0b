package import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// A checkpoint that the store holds: its parsed index, the runs that were verified, the pieces
/// that were made from it, and the answers that are remembered.
///
/// All leases of one generation share it.
package final class Resident: Sendable {
  /// A stored run of a tensor, by their positions in the checkpoint.
  package struct Run: Sendable {
    package let position: Int
    package let tensor: Int

    package init(position: Int, tensor: Int) {
      self.position = position
      self.tensor = tensor
    }
  }

  /// What keeps a resident, when the store was asked.
  package struct Use: Sendable {
    package let resident: Resident
    package let leaseCount: Int
    /// The users who pinned it.
    let pinnedBy: [UInt32]
    /// When the last lease or pin ended, by the monotonic clock in nanoseconds; nil while there is
    /// one.
    package let unusedSince: Int64?
    /// Whether the user whom the question was about has a lease or a pin.
    let isHeld: Bool

    package var isPinned: Bool { !pinnedBy.isEmpty }

    /// What keeps it, for people.
    var keeper: String {
      if isPinned { return "pinned" }
      return leaseCount == 0 ? "unused" : "\(leaseCount) lease\(leaseCount == 1 ? "" : "s")"
    }
  }

  package let generation: Generation
  package let checkpoint: Checkpoint
  /// The label that the first client gave it.
  ///
  /// It may be a path, so only that client's user sees it.
  package let label: String
  /// The user whose client opened it first.
  package let openedBy: UInt32
  /// Its part of names in the descriptor store, unique over restarts.
  let key: String
  /// Why no later process can take it over, as a clause; nil if one can.
  let obstacle: String?
  let files: HeldFiles
  let cached: CachedFiles
  let pieces: Pieces
  let answers = Answers()
  // Invariant: reading as long as the flight has not ended.
  let objects = Monitor(Objects.State.unread)
  // Invariant: computing as long as the flight has not ended.
  let digest = Monitor(FilesDigest.unknown)
  /// What is locked into memory while it is pinned.
  let lock = Monitor(LockState())
  private let tabs: Monitor<[Tab]>
  private let charge: Charge

  /// Makes a resident from what was read; it keeps the files in `held` and `cached` open.
  init(
    _ checkpoint: Checkpoint, _ files: FileSet, held: HeldFiles, cached: CachedFiles,
    label: String, key: String, _ tab: Tab, _ charge: consuming Charge, _ figures: Figures
  ) {
    self.key = key
    obstacle = files.obstacleToHandingOver(checkpoint.format)
    openedBy = files.openedBy
    generation = files.generation
    self.checkpoint = checkpoint
    self.label = label
    self.files = held
    self.cached = cached
    self.charge = charge
    tabs = Monitor([tab])
    pieces = Pieces(of: checkpoint, isReadInOrder: files.generation.isReadInOrder, figures)
  }

  /// What messages to administrators call it: its label, or its generation.
  var nameForPeople: String { label.isEmpty ? generation.description : label }

  /// The bytes and arenas that the resident holds now.
  package var holdings: Figures.Holdings { pieces.holdings }

  // MARK: Who pays

  /// The tab for what a user has made from the resident.
  func tab(for account: Account) -> Tab {
    tabs.withLock { tabs in
      if let known = tabs.first(where: { $0.uid == account.uid }) { return known }
      let tab = Tab(account)
      tabs.append(tab)
      return tab
    }
  }

  /// The bytes of memory that a user pays for.
  func byteCount(chargedTo uid: UInt32) -> Int {
    let tabs = tabs.withLock { tabs in tabs.filter { $0.uid == uid } }
    let arenas = pieces.arenas.filter { $0.payer == uid }
    return tabs.reduce(0) { $0 + $1.memoryByteCount }
      + arenas.reduce(0) { $0 + $1.chargedByteCount }
  }

  /// The user who pays for the index.
  var payer: UInt32 { tabs.withLock { $0[0].uid } }

  /// Moves the charges of a user whose last lease has ended to users who still lease the resident.
  ///
  /// One of them pays for the index, and each for arenas that this user was granted. An arena that
  /// none of them was granted stays with its payer.
  func moveCharges(from uid: UInt32, toOneOf others: [UInt32]) {
    guard let other = others.first else { return }
    tabs.withLock { tabs in
      for tab in tabs where tab.uid == uid { tab.move(to: other) }
      // Keeps the first tab of each user, and others only if they have charges.
      var users: Set<UInt32> = []
      tabs.removeAll { tab in !users.insert(tab.uid).inserted && tab.isEmpty }
    }
    for arena in pieces.arenas { arena.moveCharge(from: uid, toOneOf: others) }
  }

  /// Drops an arena that no client and no call in progress has; returns false if one has it.
  func dropArena(_ id: UInt64) -> Bool {
    guard pieces.dropArena(id) else { return false }
    answers.forget([id])
    return true
  }
}
