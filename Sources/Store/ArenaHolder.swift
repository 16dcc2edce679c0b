package import Kernel
package import SystemPackage

/// A sealed arena that calls can refer to, what it is charged, and its number.
package final class ArenaHolder: Sendable {
  /// Unique in the daemon's life; from 1.
  package let id: UInt64
  package let arena: SealedArena
  private let paid: PaidArena
  private let kept: KeptArenas
  /// The users who were granted it.
  private let users = Monitor<[UInt32]>([])

  /// Makes a holder of an arena that is charged to a tab of its own.
  init(
    id: UInt64, _ arena: SealedArena, _ tab: Tab, _ charge: consuming Charge, _ kept: KeptArenas
  ) {
    self.id = id
    self.arena = arena
    self.kept = kept
    paid = PaidArena(arena, tab, charge)
  }

  deinit {
    kept.keepWhileHeld(paid)
  }

  /// Opens the arena anew, read-only, for a client of a user.
  package func grant(to uid: UInt32) throws(Errno) -> Descriptor {
    users.withLock { users in
      if !users.contains(uid) { users.append(uid) }
    }
    return try arena.open()
  }

  /// Whether a user pays for it.
  func isCharged(to uid: UInt32) -> Bool { paid.tab.uid == uid }

  /// Has one of other users pay what one paid for, if it was granted to any of them.
  func moveCharge(from uid: UInt32, toOneOf others: [UInt32]) {
    guard isCharged(to: uid) else { return }
    let user = users.withLock { users in others.first { users.contains($0) } }
    if let user { paid.tab.move(to: user) }
  }
}

/// An arena and what it is charged.
final class PaidArena: Sendable {
  let arena: SealedArena
  let tab: Tab
  private let charge: Charge

  init(_ arena: SealedArena, _ tab: Tab, _ charge: consuming Charge) {
    self.arena = arena
    self.tab = tab
    self.charge = charge
  }

  /// The bytes that are charged.
  var byteCount: Int { charge.amounts[.memory] }
}

/// Arenas that nobody can be granted any more, but that clients may still have.
///
/// Their memory is taken as long as anybody has it open or mapped, whatever became of the leases: they
/// stay charged until the kernel says that nobody does.
package final class KeptArenas: Sendable {
  private let arenas = Monitor<[PaidArena]>([])

  /// Keeps an arena, and so its charge, while clients have it.
  func keepWhileHeld(_ arena: PaidArena) {
    guard arena.arena.isHeldElsewhere else { return }
    arenas.withLock { $0.append(arena) }
  }

  /// Refunds what nobody has any more.
  func sweep() {
    // Asked without the lock: what joins meanwhile waits for the next time.
    let free = arenas.withLock { $0 }.filter { !$0.arena.isHeldElsewhere }
    guard !free.isEmpty else { return }
    let freed = Set(free.map { ObjectIdentifier($0) })
    arenas.withLock { arenas in
      arenas.removeAll { freed.contains(ObjectIdentifier($0)) }
    }
  }

  /// The bytes of these arenas, of all users or of what one pays for.
  package func byteCount(ofUser uid: UInt32? = nil) -> Int {
    arenas.withLock { $0 }.reduce(0) { sum, arena in
      sum + (uid == nil || uid == arena.tab.uid ? arena.byteCount : 0)
    }
  }
}
