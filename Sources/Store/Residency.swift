import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// Which checkpoints are resident, and who leases each.
final class Residency: Sendable {
  /// What keeps a resident for one user: leases, a pin, or both.
  fileprivate struct Holder: Sendable {
    let uid: UInt32
    var leaseCount = 0
    /// Whether the user pinned the resident.
    var hasPin = false
  }

  fileprivate struct Held: Sendable {
    let resident: Resident
    var holders: [Holder]
    /// When the last lease or pin ended; meaningless while there is one.
    var unusedSince: Int64

    var leaseCount: Int { holders.reduce(0) { $0 + $1.leaseCount } }
    var isPinned: Bool { holders.contains { $0.hasPin } }
  }

  fileprivate enum Entry {
    case opening(Flight)
    case held(Held)
  }

  fileprivate struct State {
    var entries: [Generation: Entry] = [:]
    var residentCount = 0
    var leaseCount = 0
  }

  /// The state of a generation that is resident or being read.
  enum Found {
    case leased(Resident)
    /// Another call is reading it.
    case awaiting(Flight)
  }

  /// A resident without a lease or a pin.
  struct Idle {
    let generation: Generation
    let since: Int64
    let openedBy: UInt32
    /// The user who pays for its index.
    let payer: UInt32
  }

  // Invariant: an entry is opening as long as its flight has not ended; a resident's holders have
  // one lease for each `Lease` of it, and each holder a lease or a pin; the counts are those of the
  // entries. Lock order: this monitor, then a resident's, then a tab's.
  private let state = Monitor(State())

  // MARK: Leasing

  /// Leases a generation for a user if it is resident.
  func lease(_ generation: Generation, for uid: UInt32) -> Resident? {
    state.withLock { $0.lease(generation, for: uid) }
  }

  /// Leases a generation if it is resident; returns nil if the caller must read it, and then call
  /// `keep` or `abandon`.
  func claim(_ generation: Generation, for uid: UInt32, _ flight: Flight) -> Found? {
    state.withLock { state in
      if let resident = state.lease(generation, for: uid) { return .leased(resident) }
      if case .opening(let other) = state.entries[generation] { return .awaiting(other) }
      state.entries[generation] = .opening(flight)
      return nil
    }
  }

  /// Keeps the resident that was read for a claim, with one lease of a user.
  func keep(_ resident: Resident, for uid: UInt32) {
    keep(resident, [Holder(uid: uid, leaseCount: 1)])
  }

  /// Keeps the resident that was restored for a claim, without a lease, with users' pins.
  func keep(_ resident: Resident, pinnedBy users: [UInt32]) {
    keep(resident, users.map { Holder(uid: $0, hasPin: true) })
  }

  private func keep(_ resident: Resident, _ holders: [Holder]) {
    state.withLock { state in
      let held = Held(
        resident: resident, holders: holders, unusedSince: MonotonicClock.nanoseconds())
      state.entries[resident.generation] = .held(held)
      state.residentCount += 1
      state.leaseCount += held.leaseCount
    }
  }

  /// Gives up a claim.
  func abandon(_ generation: Generation) {
    state.withLock { $0.entries[generation] = nil }
  }

  /// Ends a user's lease; drops the resident if nothing else keeps it, unless it lingers.
  func release(_ resident: Resident, by uid: UInt32, lingers: Bool) {
    letGo(resident, by: uid, lingers: lingers) { state, holder in
      state.leaseCount -= 1
      holder.leaseCount -= 1
    }
  }

  /// Changes what a user has of a resident, and ends what the user no longer keeps.
  ///
  /// Other users who keep the resident then pay for it.
  private func letGo(
    _ resident: Resident, by uid: UInt32, lingers: Bool,
    _ change: (inout State, inout Holder) -> Void
  ) {
    var others: [UInt32] = []
    let dropped = state.withLock { state -> Resident? in
      guard case .held(var held) = state.entries[resident.generation], held.resident === resident,
        let holder = held.holders.firstIndex(where: { $0.uid == uid })
      else { return nil }
      change(&state, &held.holders[holder])
      if held.holders[holder].leaseCount == 0, !held.holders[holder].hasPin {
        held.holders.remove(at: holder)
        others = held.holders.map(\.uid)
      }
      if held.holders.isEmpty {
        if !lingers { return state.remove(resident.generation) }
        held.unusedSince = MonotonicClock.nanoseconds()
      }
      state.entries[resident.generation] = .held(held)
      return nil
    }
    // Outside the lock, as is the end of the resident's memory: there may be many arenas.
    resident.moveCharges(from: uid, toOneOf: others)
    _ = dropped
  }

  // MARK: Pins

  /// Pins a resident that the user leases; no other user's pin is needed then.
  func pin(_ resident: Resident, for uid: UInt32) {
    state.withLock { state in
      guard case .held(var held) = state.entries[resident.generation], held.resident === resident,
        !held.isPinned, let holder = held.holders.firstIndex(where: { $0.uid == uid })
      else { return }
      held.holders[holder].hasPin = true
      state.entries[resident.generation] = .held(held)
    }
  }

  /// Ends the pin of a resident; returns false if it has none.
  func unpin(_ resident: Resident, lingers: Bool) -> Bool {
    let uid = state.withLock { state -> UInt32? in
      guard case .held(let held) = state.entries[resident.generation], held.resident === resident
      else { return nil }
      return held.holders.first { $0.hasPin }?.uid
    }
    guard let uid else { return false }
    letGo(resident, by: uid, lingers: lingers) { _, holder in holder.hasPin = false }
    return true
  }

  // MARK: Dropping

  /// The residents without a lease or a pin, longest unused first.
  func idle() -> [Idle] {
    let idle = state.withLock { state in
      state.entries.values.compactMap { entry -> Held? in
        guard case .held(let held) = entry, held.holders.isEmpty else { return nil }
        return held
      }
    }
    // Without references to residents: one would keep what is dropped in memory, and charged.
    return idle.map { Idle($0.resident, since: $0.unusedSince) }.sorted { $0.since < $1.since }
  }

  /// Drops a resident that was not used since; its memory is freed before this returns.
  ///
  /// - Returns: What was dropped; nil if it was used or dropped meanwhile.
  func drop(_ idle: Idle, because cause: Change.Cause?) -> Change? {
    take(idle.generation) { $0.holders.isEmpty && $0.unusedSince == idle.since }
      .map { Change($0.resident, evicted: cause ?? .request) }
  }

  private func take(_ generation: Generation, if isMeant: (Held) -> Bool) -> Held? {
    state.withLock { state in
      guard case .held(let held) = state.entries[generation], isMeant(held) else { return nil }
      _ = state.remove(generation)
      return held
    }
  }

  /// Has the reaper drop residents without a lease whose files were deleted or have changed, even
  /// pinned ones: no client can open them any more.
  ///
  /// - Parameter dropped: Called for each, with its name for people if it was pinned.
  func dropLost(_ dropped: @escaping @Sendable (Change, _ lostPin: String?) -> Void) {
    let unleased = state.withLock { state in
      state.entries.values.compactMap { entry -> Resident? in
        guard case .held(let held) = entry, held.leaseCount == 0 else { return nil }
        return held.resident
      }
    }
    for resident in unleased {
      let generation = resident.generation
      let drop: @Sendable (HeldFiles.Loss) -> Void = { [weak self] loss in
        guard let held = self?.take(generation, if: { $0.leaseCount == 0 }) else { return }
        let lostPin = held.isPinned ? held.resident.nameForPeople : nil
        let change = Change(held.resident, evicted: loss == .deletion ? .deletion : .change)
        _ = consume held
        dropped(change, lostPin)
      }
      resident.files.ifLost(
        { generation.hasFile($0, at: $1) }, known: resident.cached.loss, drop)
    }
  }

  // MARK: Reports

  /// The resident of a generation, without a lease.
  func find(_ generation: Generation) -> Resident? {
    state.withLock { state in
      guard case .held(let held) = state.entries[generation] else { return nil }
      return held.resident
    }
  }

  var count: Int { state.withLock { $0.residentCount } }
  var leaseCount: Int { state.withLock { $0.leaseCount } }
  /// How many residents are pinned.
  var pinCount: Int {
    state.withLock { state in
      state.entries.values.count { entry in
        guard case .held(let held) = entry else { return false }
        return held.isPinned
      }
    }
  }

  /// The residents and what keeps each, in no order.
  func all(heldBy uid: UInt32? = nil) -> [Resident.Use] {
    state.withLock { state in
      state.entries.values.compactMap { entry in
        guard case .held(let held) = entry else { return nil }
        return Resident.Use(
          resident: held.resident, leaseCount: held.leaseCount,
          pinnedBy: held.holders.filter(\.hasPin).map(\.uid),
          unusedSince: held.holders.isEmpty ? held.unusedSince : nil,
          isHeld: held.holders.contains { $0.uid == uid })
      }
    }
  }
}

extension Residency.Idle {
  fileprivate init(_ resident: Resident, since: Int64) {
    self.init(
      generation: resident.generation, since: since, openedBy: resident.openedBy,
      payer: resident.payer)
  }
}

extension Residency.State {
  fileprivate mutating func lease(_ generation: Generation, for uid: UInt32) -> Resident? {
    guard case .held(var held) = entries[generation] else { return nil }
    if let known = held.holders.firstIndex(where: { $0.uid == uid }) {
      held.holders[known].leaseCount += 1
    } else {
      held.holders.append(Residency.Holder(uid: uid, leaseCount: 1))
    }
    leaseCount += 1
    entries[generation] = .held(held)
    return held.resident
  }

  fileprivate mutating func remove(_ generation: Generation) -> Resident? {
    guard case .held(let held) = entries.removeValue(forKey: generation) else { return nil }
    residentCount -= 1
    return held.resident
  }
}
