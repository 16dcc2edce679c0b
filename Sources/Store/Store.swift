package import WarmstartCheckpoint
import WarmstartKernel
package import WarmstartTensorModel

/// Keeps checkpoints warm: one resident for each generation, shared by all users.
///
/// Lock order: the residency's monitor, then a resident's, then a tab's, then the accounts'; a
/// flight's is a leaf. No lock is held while a file is examined, read or closed.
package final class Store: Sendable {
  /// What each user has taken.
  package let accounts: Accounts
  package let figures = Figures()
  /// The arenas that clients have but no resident has any more.
  package let kept = KeptArenas()
  /// What the store, and the daemon around it, may take.
  package let limits: CurrentLimits
  let loadSlots: Slots
  let headroom: Headroom
  let residency: Residency
  let legacy: Legacy
  /// The published checkpoints.
  let names: Names
  /// Pinned checkpoints that went because their index was deleted, for the log.
  private let lostPins = Monitor<[String]>([])
  /// Names that cannot be used any more, for the log.
  private let lostNames = Monitor<[String]>([])
  /// The most lost pins, and lost names, between two looks at them; chosen, not tuned.
  static let lostPinLimit = 20
  /// Pinned checkpoints that were warmed up again, for the log.
  let rewarmed = Monitor<[Rewarmed]>([])
  /// When the pinned checkpoints were last looked at.
  private let pinsLookedAt = Monitor(MonotonicClock.nanoseconds())
  /// How often the pinned checkpoints are looked at, in milliseconds.
  private static let pinLookMilliseconds = 60_000
  /// The bytes that are locked into memory for pins.
  let lockedByteCount = AtomicNumber()
  /// The most bytes that may be locked.
  let lockLimit: Int
  /// What is called for each checkpoint that becomes resident or is evicted.
  ///
  /// In a value of its own: each copy of a bare closure out of a monitor would wrap the closure
  /// once more.
  private struct Observer: Sendable {
    let call: @Sendable (Change) -> Void
  }

  private let observer = Monitor<Observer?>(nil)
  /// Package, so that tests can keep a thread of it busy.
  package let reaper = Reaper()

  /// Makes an empty store.
  ///
  /// - Parameters:
  ///   - limits: The most that the store may take.
  ///   - available: The bytes that can be allocated now before the kernel kills a process.
  ///   - descriptors: Where what is warm outlives this process; nil if nothing does.
  ///   - lockLimit: The most bytes that may be locked into memory.
  package init(
    _ limits: Limits, available: @escaping @Sendable () -> Int = { .max },
    descriptors: DescriptorStore? = nil, lockLimit: Int = Process.lockLimit
  ) {
    self.lockLimit = lockLimit
    residency = Residency()
    names = Names()
    legacy = Legacy(descriptors, of: residency, names)
    self.limits = CurrentLimits(limits)
    accounts = Accounts()
    loadSlots = Slots(countPerUser: limits.loadsPerUser)
    headroom = Headroom(beside: limits.memoryByteCount, available)
    accounts.adopt(limits)
  }

  /// Observes other limits from now on.
  ///
  /// What exceeds them stays until it is given back or evicted.
  ///
  /// The number of loads at a time stays as it was.
  package func adopt(_ limits: Limits) {
    self.limits.replace(with: limits)
    accounts.adopt(limits)
    headroom.adopt(budget: limits.memoryByteCount)
  }

  /// Has each checkpoint reported that becomes resident or is evicted, except at the end.
  ///
  /// - Parameter observe: It is called without a lock, on any thread, and must not wait.
  package func observe(_ observe: @escaping @Sendable (Change) -> Void) {
    observer.withLock { $0 = Observer(call: observe) }
  }

  private func report(_ change: Change) {
    guard let observer = observer.withLock({ $0 }) else { return }
    observer.call(change)
  }

  /// How long a checkpoint stays after its last lease.
  var lingerMilliseconds: Int { limits.now.lingerMilliseconds }

  /// How many bytes of files the store leaves in the page cache.
  var warmFileLimit: Int { limits.now.warmFileByteCount }

  /// Takes a lease on the checkpoint of the files; reads its index unless it is resident.
  ///
  /// Waits if another caller is reading it, and reads it through these files if that fails.
  ///
  /// - Parameter uid: The user whose client waits; nil for the one who passed the files, who pays.
  package func open(
    _ files: FileSet, label: String, for caller: Caller, by uid: UInt32? = nil
  ) throws(Problem) -> Lease {
    figures.count { $0.opens += 1 }
    let account = Account(files.openedBy, in: accounts)
    while true {
      // Mostly the checkpoint is resident, and no slot is needed.
      if let resident = residency.lease(files.generation, for: account.uid) {
        return Lease(resident, account, from: self, calledBy: uid ?? account.uid)
      }
      var isNew = false
      let found = try loadSlots.run(caller, of: uid ?? account.uid) { () throws(Problem) in
        try claimAndRead(files, label: label, account, caller, &isNew)
      }
      // Not while other calls wait for the resident.
      if isNew, case .leased(let resident) = found { report(Change(resident)) }
      switch found {
      case .leased(let resident):
        return Lease(resident, account, from: self, calledBy: uid ?? account.uid)
      case .awaiting(let other): try caller.wait(for: other)
      }
    }
  }

  private func claimAndRead(
    _ files: FileSet, label: String, _ account: Account, _ caller: Caller, _ isNew: inout Bool
  ) throws(Problem) -> Residency.Found {
    let flight = Flight()
    if let found = residency.claim(files.generation, for: account.uid, flight) { return found }
    defer { flight.end() }
    do {
      let resident = try read(files, label: label, account, caller, flight)
      residency.keep(resident, for: account.uid)
      figures.count { $0.indexesParsed += 1 }
      isNew = true
      return .leased(resident)
    } catch {
      residency.abandon(files.generation)
      throw error
    }
  }

  /// The bytes that a resident takes beside its index, for locks and tables: 3,100 were measured.
  package static let residentByteCount = 4096

  /// The charge for reading an index, which grows with it.
  final class Reservation {
    var charge: Charge?
  }

  private func read(
    _ files: FileSet, label: String, _ account: Account, _ caller: Caller, _ flight: Flight
  ) throws(Problem) -> Resident {
    let tab = Tab(account)
    let reading = Reservation()
    let checkpoint = try Checkpoint.read(files) { byteCount throws(Problem) in
      // Refunded first: the new charge includes the old one.
      reading.charge = nil
      reading.charge = try self.charge(
        Amounts(memory: byteCount), to: tab, for: "reading an index", passing: caller)
    } checkIn: { () throws(Problem) in
      // While other calls wait for the result, the work goes on even if its caller has gone.
      if !flight.isAwaited { try caller.checkIn() }
    }
    reading.charge = nil
    let charge = try charge(
      Amounts(memory: checkpoint.memoryByteCount + Store.residentByteCount), to: tab,
      for: "a parsed index")
    let positions = files.heldPositions
    let held = HeldFiles(
      positions.map { files.members[$0].file }, at: positions, of: account.uid,
      try self.charge(
        Amounts(descriptors: positions.count), to: tab, for: "the files of a checkpoint"),
      reaper)
    let cached = CachedFiles(
      files,
      try self.charge(
        Amounts(descriptors: files.members.count - positions.count), to: tab,
        for: "the files of a checkpoint"),
      reaper)
    return Resident(
      checkpoint, files, held: held, cached: cached, label: label, key: legacy.nextName(), tab,
      charge, figures)
  }

  // MARK: Leases and eviction

  func release(_ resident: Resident, by uid: UInt32) {
    residency.release(resident, by: uid, lingers: lingerMilliseconds > 0)
    if lingerMilliseconds == 0 { legacy.update() }
    kept.sweep()
  }

  /// Evicts checkpoints that have lingered long enough or whose files were deleted or have changed,
  /// and refunds arenas that no client has any more.
  ///
  /// Only the reaper touches clients' files.
  package func sweep() {
    let oldest = MonotonicClock.nanoseconds() - Int64(lingerMilliseconds) * 1_000_000
    for idle in residency.idle() where idle.since < oldest { evict(idle, because: .unused) }
    loseNames()
    residency.dropLost { [weak self, figures, lostPins] change, lostPin in
      figures.count { $0.evictions += 1 }
      self?.report(change)
      guard let lostPin else { return }
      // The looks of its names may have found nothing: some file systems show each look another
      // status.
      self?.loseNames(of: change.generation)
      lostPins.withLock { if $0.count < Store.lostPinLimit { $0.append(lostPin) } }
    }
    legacy.update(writingRecords: true)
    kept.sweep()
    if isTimeToLookAtPins() { warmUpPins() }
    reaper.startThreads()
  }

  private func isTimeToLookAtPins() -> Bool {
    let now = MonotonicClock.nanoseconds()
    return pinsLookedAt.withLock { last in
      guard now - last >= Int64(Store.pinLookMilliseconds) * 1_000_000 else { return false }
      last = now
      return true
    }
  }

  /// The names of checkpoints that lost their pin since the last call, because their files were
  /// deleted or have changed.
  package func takeLostPins() -> [String] {
    lostPins.withLock { names in
      defer { names = [] }
      return names
    }
  }

  /// Notes for the log that a name cannot be used any more.
  func noteLost(_ name: String) {
    lostNames.withLock { if $0.count < Store.lostPinLimit { $0.append(name) } }
  }

  /// The names that were lost since the last call, each with the reason, as sentences.
  package func takeLostNames() -> [String] {
    lostNames.withLock { names in
      defer { names = [] }
      return names
    }
  }

  /// The pinned checkpoints whose pin, or whose names, will end with this process, as sentences:
  /// those that were found since the last call.
  package func takeEndingPins() -> [String] { legacy.takeReports() }

  /// Why a resident's pin, or its names, will end with this process, as a clause; empty if they
  /// will not, or if nothing outlives this process.
  package func endOfPin(_ resident: Resident) -> String { legacy.obstacle(of: resident) }

  /// Evicts all checkpoints without a lease or a pin; returns how many.
  ///
  /// - Parameter cause: Why; nil if nothing is to be reported.
  package func evictAll(because cause: Change.Cause? = .request) -> Int {
    defer { legacy.update() }
    return residency.idle().count { evict($0, because: cause) }
  }

  @discardableResult
  func evict(_ idle: Residency.Idle, because cause: Change.Cause?) -> Bool {
    guard let change = residency.drop(idle, because: cause) else { return false }
    kept.sweep()
    figures.count { $0.evictions += 1 }
    if cause != nil { report(change) }
    return true
  }

  // MARK: Charging

  /// Charges amounts, after making room if needed.
  ///
  /// - Parameters:
  ///   - purpose: What the charge is for, for the message of a refusal.
  ///   - caller: The caller, if the charge is passing: refunded within milliseconds. Other calls
  ///     wait a little for passing charges before they are refused.
  ///   - holding: The passing memory of the call itself, which it does not wait for.
  func charge(
    _ amounts: Amounts, to tab: Tab, for purpose: String, passing caller: Caller? = nil,
    holding: Int = 0
  ) throws(Problem) -> Charge {
    var made: Charge?
    let short = try makeRoom(amounts, for: tab.uid, caller, holding: holding) {
      do throws(Shortage) {
        made = try tab.charge(amounts, passing: caller != nil, within: headroom)
        return nil
      } catch {
        return error
      }
    }
    if let charge = made.take() { return charge }
    let shortage = short ?? Shortage(resource: .memory)
    figures.count { $0.refusals += 1 }
    let largest = shortage.resource == .memory ? largest(of: tab.uid) : ""
    throw Problem(
      shortage.resource.reason,
      "\(purpose): \(tab.refusal(amounts, shortage).message)\(largest)")
  }

  /// How many checkpoints a refusal names; chosen, not tuned.
  private static let namedCount = 3

  /// What takes most of a user's memory, for the message of a refusal.
  private func largest(of uid: UInt32) -> String {
    var held = residency.all().map { use in
      let resident = use.resident
      let isOwn = resident.openedBy == uid && !resident.label.isEmpty
      return (
        name: isOwn ? resident.label : resident.generation.description, keeper: use.keeper,
        byteCount: resident.byteCount(chargedTo: uid)
      )
    }
    held.append(
      ("arenas that the daemon dropped", "mapped until jobs end", kept.byteCount(ofUser: uid)))
    held = held.filter { $0.byteCount > 0 }.sorted { $0.byteCount > $1.byteCount }
    guard !held.isEmpty else { return "" }
    let names = held.prefix(Store.namedCount).map {
      "\($0.name) (\(Resource.memory.text($0.byteCount)), \($0.keeper))"
    }
    return "; most of that is for " + names.joined(separator: ", ")
  }

  /// Charges files that a connection keeps, after making room if needed; throws `quota` if that
  /// fails.
  package func takeFiles(_ count: Int, for account: Account, _ caller: Caller) throws(Problem) {
    let amounts = Amounts(descriptors: count)
    if accounts.take(amounts, for: account.uid) == nil { return }
    let short = try caller.pausing { () throws(Problem) in
      try makeRoom(amounts, for: account.uid, caller) {
        accounts.take(amounts, for: account.uid).map { Shortage(resource: $0) }
      }
    }
    if short != nil {
      figures.count { $0.refusals += 1 }
      throw accounts.refusal(count, of: .descriptors, for: account.uid)
    }
  }

  // MARK: Reports

  /// How many checkpoints are resident.
  package var residentCount: Int { residency.count }
  package var leaseCount: Int { residency.leaseCount }
  package var pinCount: Int { residency.pinCount }

  /// The checkpoints that are resident, and what keeps each, in no order.
  package var residents: [Resident.Use] { residency.all() }

  /// The residents that a user opened first, leases or pinned.
  package func residents(of uid: UInt32) -> [Resident.Use] {
    residency.all(heldBy: uid).filter { $0.isHeld || $0.resident.openedBy == uid }
  }
}
