import WarmstartKernel
import WarmstartTensorModel

/// Which calls, or loads, may run: a few of each user at a time.
///
/// There is no limit for all users together. The kernel divides the processors among the threads
/// that run, so each user gets a share, however much work of other users waits. A call that hangs
/// in the kernel keeps a slot of its own user only. A load that verifies much takes a second slot
/// if one is free, for a helper's thread, and gives it back when another load waits.
package final class Slots: Sendable {
  private struct Entry: Sendable {
    let uid: UInt32
    let id: ObjectIdentifier
    weak let slots: UserSlots?
  }

  private let countPerUser: Int
  // Invariant: an entry exists as long as its user's slots, which exist while anything refers to
  // them.
  private let entries = Monitor<[Entry]>([])

  package init(countPerUser: Int) {
    self.countPerUser = countPerUser
  }

  /// The slots of a user, which all connections of that user share.
  func slots(of uid: UInt32) -> UserSlots {
    entries.withLock { entries in
      let known = entries.firstIndex { $0.uid == uid }
      if let known, let slots = entries[known].slots { return slots }
      let slots = UserSlots(countPerUser, of: uid, among: self)
      let entry = Entry(uid: uid, id: ObjectIdentifier(slots), slots: slots)
      // Slots that are ending find no entry of theirs afterwards.
      if let known { entries[known] = entry } else { entries.append(entry) }
      return slots
    }
  }

  /// Removes the entry of slots that end.
  ///
  /// Compares identities only: to load other slots here could end them while the lock is held.
  func forget(_ id: ObjectIdentifier) {
    entries.withLock { $0.removeAll { $0.id == id } }
  }

  /// Runs the body when the user has a free slot; the caller's turn among calls is given up
  /// meanwhile.
  ///
  /// Throws if the caller hangs up or its deadline passes before, and what the body throws.
  func run<Result>(
    _ caller: Caller, of uid: UInt32, _ body: () throws(Problem) -> Result
  ) throws(Problem) -> Result {
    try caller.pausing { () throws(Problem) in
      let slots = slots(of: uid)
      try slots.enter(caller)
      defer { slots.leave() }
      return try body()
    }
  }
}
