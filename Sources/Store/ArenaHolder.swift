package import Kernel
import SystemPackage

/// A sealed arena that calls can refer to, what it is charged, and its number.
package final class ArenaHolder: Sendable {
  /// Unique in the daemon's life; from 1.
  package let id: UInt64
  package let arena: SealedArena
  private let charge: Paid
  private let granted: GrantedArenas

  init(
    id: UInt64, _ arena: SealedArena, _ charge: consuming Charge, _ granted: GrantedArenas
  ) {
    self.id = id
    self.arena = arena
    self.charge = Paid(charge)
    self.granted = granted
  }

  deinit {
    granted.keepWhileHeld(arena, charge)
  }
}

/// A charge that several may refer to.
final class Paid: Sendable {
  private let charge: Charge
  init(_ charge: consuming Charge) { self.charge = charge }
  var byteCount: Int { charge.amounts[.memory] }
  var uid: UInt32 { charge.uid }
}

/// Arenas that nobody can be granted any more, but that clients may still have.
///
/// Their memory is taken as long as anybody has it open or mapped, whatever became of the leases: they
/// stay charged until the kernel says that nobody does.
package final class GrantedArenas: Sendable {
  private struct Held: Sendable {
    let arena: SealedArena
    let charge: Paid
  }

  private let held = Monitor<[Held]>([])

  /// Keeps the charge of an arena while clients have it.
  func keepWhileHeld(_ arena: SealedArena, _ charge: Paid) {
    guard arena.isHeldElsewhere else { return }
    held.withLock { $0.append(Held(arena: arena, charge: charge)) }
  }

  /// Refunds what nobody has any more.
  func sweep() {
    // Asked without the lock: what joins meanwhile waits for the next time.
    let free = held.withLock { $0 }.filter { !$0.arena.isHeldElsewhere }
    guard !free.isEmpty else { return }
    held.withLock { held in
      held.removeAll { entry in free.contains { $0.arena === entry.arena } }
    }
  }

  /// The bytes of these arenas, of all users or of what one pays for.
  package func byteCount(ofUser uid: UInt32? = nil) -> Int {
    held.withLock { $0 }.reduce(0) { sum, entry in
      sum + (uid == nil || uid == entry.charge.uid ? entry.charge.byteCount : 0)
    }
  }
}
