import WarmstartKernel

/// What the store holds now, and what happened since the daemon started.
///
/// Totals are updated with each change, since each load and each status line asks for them.
package final class Figures: Sendable {
  /// Counts of events since the daemon started.
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
    /// How often a pinned checkpoint was warmed up again.
    package var rewarmedPins = 0
    package var refusals = 0
    /// Calls that found bytes without their checksum.
    package var checksumFailures = 0
    /// Checkpoints and arenas that an earlier process left.
    package var restoredCheckpoints = 0
    package var restoredArenas = 0
  }

  /// What one resident holds, or all together.
  package struct Holdings: Sendable {
    /// Bytes that were read, and whose checksums matched if the format has any.
    package var verifiedByteCount = 0
    /// The part of `verifiedByteCount` that the page cache has, as far as the store knows: what it
    /// left there, without what the last look missed.
    package var cachedByteCount = 0
    package var arenaCount = 0
    package var arenaByteCount = 0
    /// The part of `arenaByteCount` in huge pages.
    package var hugeArenaByteCount = 0

    /// Bytes of files that the page cache has, and of arenas.
    package var warmByteCount: Int {
      let (sum, overflow) = cachedByteCount.addingReportingOverflow(arenaByteCount)
      return overflow ? .max : sum
    }

    mutating func add(_ other: Holdings) {
      // Sparse files may have any number of bytes.
      let (sum, overflow) = verifiedByteCount.addingReportingOverflow(other.verifiedByteCount)
      verifiedByteCount = overflow ? .max : sum
      let (cached, isTooMuch) = cachedByteCount.addingReportingOverflow(other.cachedByteCount)
      cachedByteCount = isTooMuch ? .max : cached
      arenaCount += other.arenaCount
      arenaByteCount += other.arenaByteCount
      hugeArenaByteCount += other.hugeArenaByteCount
    }

    mutating func subtract(_ other: Holdings) {
      verifiedByteCount = max(0, verifiedByteCount - other.verifiedByteCount)
      cachedByteCount = max(0, cachedByteCount - other.cachedByteCount)
      arenaCount -= other.arenaCount
      arenaByteCount -= other.arenaByteCount
      hugeArenaByteCount -= other.hugeArenaByteCount
    }
  }

  private struct State {
    var counters = Counters()
    var holdings = Holdings()
    var lastArenaID: UInt64 = 0
  }

  private let state = Monitor(State())
  // Beside the lock, since the shortest of all calls counts itself here.
  private let repeatedAnswers = AtomicNumber()

  func count(_ change: (inout Counters) -> Void) {
    state.withLock { change(&$0.counters) }
  }

  func add(_ holdings: Holdings) {
    state.withLock { $0.holdings.add(holdings) }
  }

  func subtract(_ holdings: Holdings) {
    state.withLock { $0.holdings.subtract(holdings) }
  }

  /// Replaces what one resident held by what it holds now.
  func replace(_ before: Holdings, by now: Holdings) {
    state.withLock { state in
      state.holdings.subtract(before)
      state.holdings.add(now)
    }
  }

  func nextArenaID() -> UInt64 {
    state.withLock { state in
      state.lastArenaID += 1
      return state.lastArenaID
    }
  }

  func countRepeatedAnswer() { repeatedAnswers.add(1) }

  package var counters: Counters {
    var counters = state.withLock { $0.counters }
    counters.repeatedAnswers = repeatedAnswers.value
    return counters
  }
  package var holdings: Holdings { state.withLock { $0.holdings } }
}

extension Store {
  /// Counts a call that found bytes without their checksum.
  package func countChecksumFailure() { figures.count { $0.checksumFailures += 1 } }
}
