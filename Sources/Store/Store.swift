package import Checkpoint
import Kernel
package import TensorModel

/// Keeps checkpoints warm: one resident for each generation, whoever asks.
///
/// Lock order: the store's monitor, then a resident's; a flight's and the budget's are leaves. No
/// lock is held while a file is examined or read.
package final class Store: Sendable {
  /// What happened since the daemon started; each only grows.
  package struct Counters: Sendable {
    package var opens = 0
    package var indexesParsed = 0
    package var loads = 0
    package var awaitedLoads = 0
    package var verifiedRuns = 0
    package var arenas = 0
    package var pieces = 0
    package var repeatedAnswers = 0
    package var evictions = 0
  }

  private enum Entry {
    case opening(Flight)
    case resident(Resident, leaseCount: Int, unleasedSince: Int64)
  }

  private struct State {
    var entries: [Generation: Entry] = [:]
    var lastArenaID: UInt64 = 0
    var counters = Counters()
  }

  /// What may be charged for arenas and indexes.
  package let budget: Budget
  /// How many bytes of files may be read into the page cache and left there.
  ///
  /// What is read beyond that is dropped again, so that a large file, or a sparse one that costs its
  /// owner nothing, does not drive everything else out of memory.
  let warmFileLimit: Int
  /// How long a checkpoint that nobody holds stays, in milliseconds.
  private let lingerMilliseconds: Int
  // Invariant: an entry is opening as long as its flight has not ended; a resident's lease count is
  // the number of `Lease`s of it.
  private let state = Monitor(State())

  package init(budget: Int, lingerMilliseconds: Int, warmFileLimit: Int = .max) {
    self.warmFileLimit = warmFileLimit
    self.budget = Budget(limit: budget)
    self.lingerMilliseconds = lingerMilliseconds
  }

  /// Takes a lease on the checkpoint of the files; reads its index unless it is resident.
  ///
  /// Waits if another caller is reading it, and reads it through these files if that fails.
  package func open(
    _ files: FileSet, label: String, for caller: Caller
  ) throws(Problem) -> Lease {
    count { $0.opens += 1 }
    while true {
      let flight = Flight()
      switch claim(files.generation, flight) {
      case .leased(let resident): return Lease(resident, from: self)
      case .awaiting(let other): try caller.wait(for: other)
      case .claimed:
        do {
          let resident = try read(files, label: label, for: caller, flight)
          state.withLock { state in
            state.entries[files.generation] = .resident(resident, leaseCount: 1, unleasedSince: 0)
            state.counters.indexesParsed += 1
          }
          flight.end()
          return Lease(resident, from: self)
        } catch {
          state.withLock { $0.entries[files.generation] = nil }
          flight.end()
          throw error
        }
      }
    }
  }

  private enum Claim {
    case leased(Resident)
    case awaiting(Flight)
    case claimed
  }

  private func claim(_ generation: Generation, _ flight: Flight) -> Claim {
    state.withLock { state in
      switch state.entries[generation] {
      case .resident(let resident, let leaseCount, _):
        state.entries[generation] = .resident(
          resident, leaseCount: leaseCount + 1, unleasedSince: 0)
        return .leased(resident)
      case .opening(let other): return .awaiting(other)
      case nil:
        state.entries[generation] = .opening(flight)
        return .claimed
      }
    }
  }

  /// What is charged for reading as it grows.
  private final class Reservation {
    var charge: Charge?
  }

  private func read(
    _ files: FileSet, label: String, for caller: Caller, _ flight: Flight
  ) throws(Problem) -> Resident {
    let reading = Reservation()
    let checkpoint = try Checkpoint.read(files) { byteCount throws(Problem) in
      // Given back first: the new one stands for both.
      reading.charge = nil
      reading.charge = try self.charge(byteCount, for: "reading an index")
    } checkIn: { () throws(Problem) in
      // The work goes on for others even if the one who began it has gone.
      if !flight.isAwaited { try caller.checkIn() }
    }
    reading.charge = nil
    let charge = try charge(checkpoint.memoryByteCount, for: "a parsed index")
    return Resident(checkpoint, files, label: label, charge)
  }

  // MARK: Leases and eviction

  fileprivate func release(_ resident: Resident) {
    let isDeleted = resident.isDeleted()
    let dropped = state.withLock { state -> Resident? in
      guard case .resident(let held, let leaseCount, _) = state.entries[resident.generation],
        held === resident
      else { return nil }
      if leaseCount == 1, isDeleted || lingerMilliseconds == 0 {
        state.entries[resident.generation] = nil
        return held
      }
      state.entries[resident.generation] = .resident(
        held, leaseCount: leaseCount - 1, unleasedSince: MonotonicClock.nanoseconds())
      return nil
    }
    // The resident's memory goes here, outside the lock.
    _ = dropped
  }

  /// Drops what nobody has held for the time it may linger, or whose file is gone.
  package func sweep() {
    let oldest = MonotonicClock.nanoseconds() - Int64(lingerMilliseconds) * 1_000_000
    for (resident, since) in unleased() where since < oldest || resident.isDeleted() {
      drop(resident.generation, unleasedSince: since)
    }
  }

  /// Drops everything that nobody holds; returns how many checkpoints.
  package func evictAll() -> Int {
    unleased().count { drop($0.resident.generation, unleasedSince: $0.since) }
  }

  private func unleased() -> [(resident: Resident, since: Int64)] {
    state.withLock { state in
      state.entries.values.compactMap { entry in
        guard case .resident(let resident, 0, let since) = entry else { return nil }
        return (resident, since)
      }
    }
  }

  /// Drops a resident that nobody has held since then; its memory goes before this returns.
  @discardableResult
  private func drop(_ generation: Generation, unleasedSince since: Int64) -> Bool {
    let dropped = state.withLock { state -> Entry? in
      guard case .resident(_, 0, since) = state.entries[generation] else { return nil }
      state.counters.evictions += 1
      return state.entries.removeValue(forKey: generation)
    }
    return dropped != nil
  }

  /// Charges bytes to the budget, after evicting what nobody holds, longest unused first, if needed.
  func charge(_ byteCount: Int, for purpose: String) throws(Problem) -> Charge {
    if let charge = budget.charge(byteCount) { return charge }
    // What can never fit must not cost others their warmth.
    if byteCount <= budget.limit {
      // Without references to them: one would keep what is dropped in memory, and charged.
      let idle = unleased().sorted { $0.since < $1.since }.map {
        ($0.resident.generation, $0.since)
      }
      for (generation, since) in idle {
        drop(generation, unleasedSince: since)
        if let charge = budget.charge(byteCount) { return charge }
      }
    }
    throw Problem(
      .budget,
      "\(purpose) of \(byteCount) bytes is over the budget: \(budget.byteCount) of "
        + "\(budget.limit) bytes are in use")
  }

  // MARK: Counting

  func count(_ change: (inout Counters) -> Void) {
    state.withLock { change(&$0.counters) }
  }

  func nextArenaID() -> UInt64 {
    state.withLock { state in
      state.lastArenaID += 1
      return state.lastArenaID
    }
  }

  /// The bytes of files that were read for what is resident.
  var warmFileByteCount: Int {
    residents.reduce(0) { sum, entry in
      let (next, overflow) = sum.addingReportingOverflow(entry.resident.holdings.verifiedByteCount)
      return overflow ? .max : next
    }
  }

  package var counters: Counters { state.withLock { $0.counters } }

  /// The checkpoints that are resident, with the number of leases of each, in no order.
  package var residents: [(resident: Resident, leaseCount: Int)] {
    state.withLock { state in
      state.entries.values.compactMap { entry in
        guard case .resident(let resident, let leaseCount, _) = entry else { return nil }
        return (resident, leaseCount)
      }
    }
  }
}

/// A connection's hold on a resident checkpoint; given back when the last reference ends.
package final class Lease: Sendable {
  package let resident: Resident
  private let store: Store

  fileprivate init(_ resident: Resident, from store: Store) {
    self.resident = resident
    self.store = store
  }

  deinit {
    store.release(resident)
  }
}
