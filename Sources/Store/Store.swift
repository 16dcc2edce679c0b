package import WarmstartCheckpoint
import WarmstartKernel
package import WarmstartTensorModel

/// Keeps checkpoints warm: one resident for each generation, whoever asks.
///
/// Lock order: the residency's monitor, then a resident's, then a tab's, then the accounts'; a
/// flight's is a leaf. No lock is held while a file is examined, read or closed.
package final class Store: Sendable {
  /// What each user has taken.
  package let accounts: Accounts
  package let figures = Figures()
  /// The arenas that clients have though no resident does.
  package let kept = KeptArenas()
  let loadSlots: Slots
  /// How many bytes of files may be read into the page cache and left there.
  ///
  /// What is read beyond that is dropped again, so that a large file, or a sparse one that costs its
  /// owner nothing, does not drive everything else out of memory.
  let warmFileLimit: Int
  /// How long a checkpoint that nobody holds stays, in milliseconds.
  private let lingerMilliseconds: Int
  private let headroom: Headroom
  private let residency = Residency()
  /// Package, so that tests can keep a thread of it busy.
  package let reaper = Reaper()

  /// Makes an empty store.
  ///
  /// - Parameters:
  ///   - budget: The bytes that all users may have of memory; three quarters of it at most for one.
  ///   - lingerMilliseconds: How long a checkpoint that nobody leases stays.
  ///   - warmFileLimit: The bytes of files that may be left in the page cache.
  ///   - loadsPerUser: How many loads of one user run at a time.
  ///   - available: The bytes that can be allocated now before the kernel kills for want of memory.
  package init(
    budget: Int, lingerMilliseconds: Int, warmFileLimit: Int = .max, loadsPerUser: Int = 2,
    available: @escaping @Sendable () -> Int = { .max }
  ) {
    self.warmFileLimit = warmFileLimit
    accounts = Accounts(memory: budget)
    loadSlots = Slots(countPerUser: loadsPerUser)
    headroom = Headroom(beside: budget, available)
    self.lingerMilliseconds = lingerMilliseconds
  }

  /// Takes a lease on the checkpoint of the files; reads its index unless it is resident.
  ///
  /// Waits if another caller is reading it, and reads it through these files if that fails.
  package func open(
    _ files: FileSet, label: String, for caller: Caller
  ) throws(Problem) -> Lease {
    figures.count { $0.opens += 1 }
    let account = Account(files.openedBy, in: accounts)
    while true {
      // Mostly it is resident, and needs no slot.
      if let resident = residency.lease(files.generation, for: account.uid) {
        return Lease(resident, account, from: self)
      }
      let found = try loadSlots.run(caller, of: account.uid) { () throws(Problem) in
        try claimAndRead(files, label: label, account, caller)
      }
      switch found {
      case .leased(let resident): return Lease(resident, account, from: self)
      case .awaiting(let other): try caller.wait(for: other)
      }
    }
  }

  private func claimAndRead(
    _ files: FileSet, label: String, _ account: Account, _ caller: Caller
  ) throws(Problem) -> Residency.Found {
    let flight = Flight()
    if let found = residency.claim(files.generation, for: account.uid, flight) { return found }
    defer { flight.end() }
    do {
      let resident = try read(files, label: label, account, caller, flight)
      residency.keep(resident, for: account.uid)
      figures.count { $0.indexesParsed += 1 }
      return .leased(resident)
    } catch {
      residency.abandon(files.generation)
      throw error
    }
  }

  /// What a resident takes beside its index: locks, tables, and its place among all.
  ///
  /// Measured: 3,100 bytes.
  package static let residentByteCount = 4096

  /// What is charged for reading as it grows.
  private final class Reservation {
    var charge: Charge?
  }

  private func read(
    _ files: FileSet, label: String, _ account: Account, _ caller: Caller, _ flight: Flight
  ) throws(Problem) -> Resident {
    let tab = Tab(account)
    let reading = Reservation()
    let checkpoint = try Checkpoint.read(files) { byteCount throws(Problem) in
      // Given back first: the new one stands for both.
      reading.charge = nil
      reading.charge = try self.charge(
        Amounts(memory: byteCount), to: tab, for: "reading an index", passing: caller)
    } checkIn: { () throws(Problem) in
      // The work goes on for others even if the one who began it has gone.
      if !flight.isAwaited { try caller.checkIn() }
    }
    reading.charge = nil
    let charge = try charge(
      Amounts(memory: checkpoint.memoryByteCount + Store.residentByteCount), to: tab,
      for: "a parsed index")
    let others = files.onePerOtherDevice
    let held = HeldFiles(
      files.index.file, others, of: account.uid,
      try self.charge(
        Amounts(descriptors: 1 + others.count), to: tab, for: "the files of a checkpoint"),
      reaper)
    return Resident(checkpoint, files, held: held, label: label, tab, charge, figures)
  }

  // MARK: Leases and eviction

  func release(_ resident: Resident, by uid: UInt32) {
    residency.release(resident, by: uid, lingers: lingerMilliseconds > 0)
    kept.sweep()
  }

  /// Drops what nobody has leased for the time it may linger, or whose file is gone, and refunds the
  /// arenas that clients have let go.
  ///
  /// Touches no file of a client: the reaper does.
  package func sweep() {
    let oldest = MonotonicClock.nanoseconds() - Int64(lingerMilliseconds) * 1_000_000
    for idle in residency.idle() where idle.since < oldest { evict(idle) }
    residency.dropDeleted { [figures] in figures.count { $0.evictions += 1 } }
    kept.sweep()
    reaper.startThreads()
  }

  /// Drops everything that nobody leases; returns how many checkpoints.
  package func evictAll() -> Int {
    residency.idle().count { evict($0) }
  }

  @discardableResult
  private func evict(_ idle: Residency.Idle) -> Bool {
    guard residency.drop(idle) else { return false }
    kept.sweep()
    figures.count { $0.evictions += 1 }
    return true
  }

  // MARK: Charging

  /// How long a call waits for what others have for milliseconds; chosen, not tuned.
  private static let patienceMilliseconds = 2000

  /// Charges amounts, after making room if needed.
  ///
  /// What a `passing` caller takes is given back within milliseconds; everybody waits for that a little
  /// before being refused, but not for what the call itself is `holding` of it.
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
    throw Problem(shortage.resource.reason, "\(purpose): \(tab.refusal(amounts, shortage).message)")
  }

  /// Takes files that a connection keeps, after making room if needed; throws `quota` if that fails.
  package func takeFiles(_ count: Int, for account: Account, _ caller: Caller) throws(Problem) {
    let amounts = Amounts(descriptors: count)
    if accounts.take(amounts, for: account.uid) == nil { return }
    let short = try caller.pausing { () throws(Problem) in
      try makeRoom(amounts, for: account.uid, caller) {
        accounts.take(amounts, for: account.uid).map { Shortage(resource: $0) }
      }
    }
    if short != nil { throw accounts.refusal(count, of: .descriptors, for: account.uid) }
  }

  /// Tries to take amounts until that works or there is no more room to make; returns what is short.
  private func makeRoom(
    _ amounts: Amounts, for uid: UInt32, _ caller: Caller?, holding: Int = 0,
    _ attempt: () -> Shortage?
  ) throws(Problem) -> Shortage? {
    guard var shortage = attempt() else { return nil }
    // What can never fit must not cost others their warmth.
    guard accounts.canEverHave(amounts) else { return shortage }
    let end = Deadline.after(milliseconds: Store.patienceMilliseconds)
    var rooms = rooms(shortage.resource, for: uid).makeIterator()
    var isLast = false
    repeat {
      if let makeRoom = rooms.next() {
        guard makeRoom() else { continue }
        // Files that were evicted are not closed yet.
        if shortage.resource == .descriptors { reaper.wait(for: uid, milliseconds: 20) }
      } else {
        // Looked at before the last try: it may have ended just now.
        isLast =
          end.hasPassed || !isRefunding(shortage.resource, for: uid, besides: holding)
        try caller?.checkIn()
      }
      guard let short = attempt() else { return nil }
      shortage = short
    } while !isLast
    return shortage
  }

  /// Whether something is about to be given back that a user could have; waits for it a little.
  private func isRefunding(_ resource: Resource, for uid: UInt32, besides holding: Int) -> Bool {
    resource == .memory
      ? accounts.waitForPassing(beyond: holding, milliseconds: 20)
      : reaper.wait(for: uid, milliseconds: 20)
  }

  /// What makes room for a user, the least harmful first; each says whether it may have.
  ///
  /// The user's own checkpoints go before those of others, and checkpoints that nobody leases before
  /// arenas of leased ones, which nobody has, but which the next call may want. Of others only those
  /// give way who have more of what is short: nobody at the limit can empty the store for everybody.
  private func rooms(_ resource: Resource, for uid: UInt32) -> some Sequence<() -> Bool> {
    let idle = residency.idle()
    let own = idle.filter { $0.payer == uid }.map { idle in { self.evict(idle) } }
    let hasMore = { (other: UInt32) in
      other != uid
        && self.accounts.amount(of: resource, for: other)
          > self.accounts.amount(of: resource, for: uid)
    }
    let others = idle.filter { $0.payer != uid }.map { idle in
      {
        guard hasMore(idle.payer), self.evict(idle) else { return false }
        // Its files are not closed yet.
        if resource == .descriptors { self.reaper.wait(for: idle.openedBy, milliseconds: 20) }
        return true
      }
    }
    let sweep = {
      self.kept.sweep()
      return true
    }
    let ownArenas = { self.dropUnusedArenas { $0 == uid } }
    let arenas = { self.dropUnusedArenas(of: hasMore) }
    return [sweep] + own + [ownArenas] + others + [arenas]
  }

  private func dropUnusedArenas(of isMeant: (UInt32) -> Bool) -> Bool {
    let hasDropped = residency.leased.reduce(false) { hasDropped, resident in
      resident.dropUnusedArenas(of: isMeant) || hasDropped
    }
    if hasDropped { kept.sweep() }
    return hasDropped
  }

  // MARK: Reports

  /// How many checkpoints are resident.
  package var residentCount: Int { residency.count }
  package var leaseCount: Int { residency.leaseCount }

  /// The checkpoints that are resident, with the number of leases of each, in no order.
  package var residents: [(resident: Resident, leaseCount: Int)] {
    residency.all().map { ($0.resident, $0.leaseCount) }
  }

  /// Those that a user opened first or leases.
  package func residents(of uid: UInt32) -> [(resident: Resident, leaseCount: Int)] {
    residency.all(heldBy: uid).filter { $0.isHeld || $0.resident.openedBy == uid }
      .map { ($0.resident, $0.leaseCount) }
  }
}
