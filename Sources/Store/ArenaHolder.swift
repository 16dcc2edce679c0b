package import SystemPackage
import WarmstartCheckpoint
package import WarmstartKernel
import WarmstartTensorModel

/// A sealed arena that calls can refer to, with its number and its charge.
package final class ArenaHolder: Sendable {
  /// Unique while the daemon runs; counted from 1.
  package let id: UInt64
  package let arena: SealedArena
  /// Its name in the descriptor store, unique over restarts.
  let name: String
  private let paid: Paid
  private let kept: KeptArenas
  private let used = AtomicNumber(Int(MonotonicClock.nanoseconds()))
  /// The users who were granted it.
  private let users: Monitor<[UInt32]>

  /// Makes a holder of an arena that is charged to a tab of its own.
  ///
  /// - Parameter users: Who was granted the arena by an earlier process.
  init(
    id: UInt64, _ arena: SealedArena, named name: String, _ tab: Tab, _ charge: consuming Charge,
    _ kept: KeptArenas, grantedTo users: [UInt32] = []
  ) {
    self.id = id
    self.arena = arena
    self.name = name
    self.kept = kept
    self.users = Monitor(users)
    paid = Paid(tab, charge)
  }

  deinit {
    kept.keep(arena, paid)
  }

  /// Opens the arena anew, read-only, for a client of a user.
  package func grant(to uid: UInt32) throws(Errno) -> Descriptor {
    _ = used.exchange(Int(MonotonicClock.nanoseconds()))
    users.withLock { users in
      if !users.contains(uid) { users.append(uid) }
    }
    return try arena.open()
  }

  /// The users who were granted it.
  var grantedTo: [UInt32] { users.withLock { $0 } }

  /// When it was made, or granted last, by the monotonic clock in nanoseconds.
  var lastUse: Int64 { Int64(used.value) }

  /// The user who pays for it.
  var payer: UInt32 { paid.tab.uid }
  /// The bytes of memory that the user pays.
  var chargedByteCount: Int { paid.byteCount }

  /// Moves a user's charge to the first of other users who was granted the arena, if any was.
  func moveCharge(from uid: UInt32, toOneOf others: [UInt32]) {
    guard payer == uid else { return }
    let user = users.withLock { users in others.first { users.contains($0) } }
    if let user { paid.tab.move(to: user) }
  }
}

extension Figures.Holdings {
  /// What a resident holds with one arena.
  init(of arena: SealedArena) {
    self.init(
      arenaCount: 1, arenaByteCount: arena.byteCount, hugeArenaByteCount: arena.hugeByteCount)
  }
}

extension ArenaDescription {
  /// The bytes to charge for an arena of some bytes: whole pages, with the trailer, and what it
  /// takes to remember the pieces, whose slices may have many axes.
  func chargedByteCount(beside byteCount: Int) -> Int {
    let keys = entries.reduce(trailerByteCount) {
      $0 + 200 + 16 * ($1.piece.slice?.starts.count ?? 0) + $1.piece.listByteCount
    }
    let (sum, overflow) = max(1, byteCount).addingReportingOverflow(
      Mapping.pageByteCount - 1 + keys)
    return overflow ? .max : sum & ~(Mapping.pageByteCount - 1)
  }
}

/// The charge for an arena, which may outlive the arena's holder.
final class Paid: Sendable {
  let tab: Tab
  private let charge: Charge

  init(_ tab: Tab, _ charge: consuming Charge) {
    self.tab = tab
    self.charge = charge
  }

  /// The bytes that are charged.
  var byteCount: Int { charge.amounts[.memory] }
}

/// The charges for arenas that cannot be granted any more, but that clients may still have.
///
/// An arena takes memory as long as any process refers to it, even after all leases have ended. It
/// stays charged until the kernel reports that no process does.
package final class KeptArenas: Sendable {
  private struct State {
    /// Made at the first need.
    var watches: ArenaWatches?
    var watched: [ArenaWatches.Watch: Paid] = [:]
    /// Arenas that a process has and that cannot be watched.
    var unwatched: [(arena: SealedArena, paid: Paid)] = []
  }

  private let state = Monitor(State())

  /// Keeps the charge of an arena that the store is about to close.
  func keep(_ arena: SealedArena, _ paid: Paid) {
    state.withLock { state in
      do {
        if state.watches == nil { state.watches = try ArenaWatches() }
        if let watch = try state.watches?.watch(arena) { state.watched[watch] = paid }
      } catch {
        // The next best source: whether a process has it now.
        if arena.isHeldElsewhere { state.unwatched.append((arena, paid)) }
      }
    }
  }

  /// Refunds the arenas that no process has any more.
  func sweep() {
    let ended = state.withLock { state -> [Paid] in
      guard !state.watched.isEmpty || !state.unwatched.isEmpty else { return [] }
      var ended: [Paid] = []
      while let watches = state.watches?.takeEnded(), !watches.isEmpty {
        for watch in watches {
          if let paid = state.watched.removeValue(forKey: watch) { ended.append(paid) }
        }
      }
      ended += state.unwatched.filter { !$0.arena.isHeldElsewhere }.map { $0.paid }
      state.unwatched.removeAll { !$0.arena.isHeldElsewhere }
      return ended
    }
    // The charges end here, outside the lock.
    _ = ended
  }

  /// The bytes of these arenas, of all payers or of one.
  package func byteCount(ofUser uid: UInt32? = nil) -> Int {
    let all = state.withLock { Array($0.watched.values) + $0.unwatched.map { $0.paid } }
    return all.reduce(0) { sum, paid in
      sum + (uid == nil || uid == paid.tab.uid ? paid.byteCount : 0)
    }
  }
}
