import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// What may be dropped to make room: a checkpoint without a lease or a pin, or an arena of a leased
/// checkpoint that no call and no client has.
///
/// The user's own go before those of other users, and of each the least recently used first. Only
/// users who have more of the short resource give way: a user at the limit cannot empty the store
/// for everyone.
enum Eviction {
  /// Something that may be dropped, as it was when it was looked at.
  ///
  /// Without references to what it describes, which would keep it in memory, and charged.
  private struct Candidate {
    enum Kind {
      case resident(Residency.Idle)
      case arena(id: UInt64, of: Generation)
    }

    let kind: Kind
    let payer: UInt32
    let lastUse: Int64
  }

  /// How long a call waits for passing charges of other calls; chosen, not tuned.
  static let patienceMilliseconds = 2000

  /// The steps that make room for a user, in order; each returns whether it may have made room.
  static func steps(
    in store: Store, _ resource: Resource, for uid: UInt32
  ) -> some Sequence<() -> Bool> {
    let candidates = candidates(in: store).sorted { $0.lastUse < $1.lastUse }
    let sweep = {
      store.kept.sweep()
      return true
    }
    let own = candidates.filter { $0.payer == uid }.map { candidate in
      { drop(candidate, in: store) }
    }
    let others = candidates.filter { $0.payer != uid }.map { candidate in
      {
        guard store.accounts.has(more: resource, candidate.payer, than: uid),
          drop(candidate, in: store)
        else { return false }
        // The reaper has yet to close its files.
        if resource == .descriptors, case .resident(let idle) = candidate.kind {
          store.reaper.wait(for: idle.openedBy, milliseconds: 20)
        }
        return true
      }
    }
    return [sweep] + own + others
  }

  private static func candidates(in store: Store) -> [Candidate] {
    let idle = store.residency.idle().map { idle in
      Candidate(kind: .resident(idle), payer: idle.payer, lastUse: idle.since)
    }
    let arenas = store.residency.all().filter { $0.leaseCount > 0 && !$0.isPinned }.flatMap { use in
      use.resident.pieces.idleArenas.map { arena in
        Candidate(
          kind: .arena(id: arena.id, of: use.resident.generation), payer: arena.payer,
          lastUse: arena.lastUse)
      }
    }
    return idle + arenas
  }

  private static func drop(_ candidate: Candidate, in store: Store) -> Bool {
    switch candidate.kind {
    case .resident(let idle):
      guard store.evict(idle, because: .room) else { return false }
    case .arena(let id, let generation):
      guard store.residency.find(generation)?.dropArena(id) == true else { return false }
    }
    // The service manager may have what was dropped, too.
    store.legacy.update(settles: true)
    store.kept.sweep()
    return true
  }
}

extension Store {
  /// Tries to charge amounts until that works or no more room can be made; returns what is short.
  func makeRoom(
    _ amounts: Amounts, for uid: UInt32, _ caller: Caller?, holding: Int = 0,
    _ attempt: () -> Shortage?
  ) throws(Problem) -> Shortage? {
    guard var shortage = attempt() else { return nil }
    // A charge that can never fit must not evict other users' checkpoints.
    guard accounts.canEverHave(amounts) else { return shortage }
    let end = Deadline.after(milliseconds: Eviction.patienceMilliseconds)
    var steps = Eviction.steps(in: self, shortage.resource, for: uid).makeIterator()
    var isLast = false
    repeat {
      if let step = steps.next() {
        guard step() else { continue }
        // The reaper has yet to close evicted files.
        if shortage.resource == .descriptors { reaper.wait(for: uid, milliseconds: 20) }
      } else {
        // Asked before the last attempt: a refund may happen just now.
        isLast =
          end.hasPassed || !isRefunding(shortage.resource, for: uid, besides: holding)
        try caller?.checkIn()
      }
      guard let short = attempt() else { return nil }
      shortage = short
    } while !isLast
    return shortage
  }

  /// Whether a refund that the user could have is on its way; waits for it a little.
  private func isRefunding(_ resource: Resource, for uid: UInt32, besides holding: Int) -> Bool {
    resource == .memory
      ? accounts.waitForPassing(beyond: holding, milliseconds: 20)
      : reaper.wait(for: uid, milliseconds: 20)
  }
}
