import WarmstartCheckpoint
import WarmstartKernel

// What is warm now. The store knows what it read and verified; the kernel may have taken pages of
// the files since. A report has the reapers look first, and pinned checkpoints are looked at every
// minute, and warmed up again.

extension Store {
  /// How long a report waits for the reapers to look, in milliseconds; chosen, not tuned.
  private static let lookMilliseconds = 100
  /// How long a look is good enough for reports, in milliseconds: users can ask for any number of
  /// them.
  private static let lookAge = 1000

  /// A pinned checkpoint that was warmed up again, for the log.
  package struct Rewarmed: Sendable {
    /// The checkpoint's label, or its generation.
    package let name: String
    /// The bytes that were missing.
    package let byteCount: Int
  }

  /// Has the reapers look at what the page cache has of residents, and waits a little for them.
  ///
  /// A reaper that a file system keeps waiting does not answer in time: then the last look counts.
  package func lookAtCache(of residents: some Sequence<Resident.Use>) {
    var users: Set<UInt32> = []
    for use in residents {
      use.resident.lookAtCache(ifOlderThan: Store.lookAge, warmsUp: { _ in false }) { _, _ in }
      users.insert(use.resident.cached.uid)
    }
    let deadline = Deadline.after(milliseconds: Store.lookMilliseconds)
    for uid in users { reaper.wait(for: uid, until: deadline) }
  }

  /// Has the reapers warm up pinned checkpoints again that the kernel took pages of.
  package func warmUpPins() {
    for use in residents where use.isPinned {
      let resident = use.resident
      let name = resident.nameForPeople
      let missed = Monitor(0)
      // Where memory is short, the kernel would only take other pages.
      resident.lookAtCache(ifOlderThan: 0, warmsUp: headroom.has) {
        [figures, rewarmed] look, isWarmedUp in
        let before = missed.withLock { missed in
          defer { missed = look.missedByteCount }
          return missed
        }
        guard isWarmedUp, look.missedByteCount < before else { return }
        figures.count { $0.rewarmedPins += 1 }
        rewarmed.withLock { list in
          guard list.count < Store.lostPinLimit else { return }
          list.append(Rewarmed(name: name, byteCount: before))
        }
      }
    }
  }

  /// The pinned checkpoints that were warmed up again since the last call.
  package func takeRewarmed() -> [Rewarmed] {
    rewarmed.withLock { list in
      defer { list = [] }
      return list
    }
  }
}

extension Resident {
  /// Has the reaper look at what the page cache has of the files.
  fileprivate func lookAtCache(
    ifOlderThan age: Int, warmsUp: @escaping @Sendable (Int) -> Bool,
    _ found: @escaping @Sendable (_ look: CachedFiles.Look, _ isWarmedUp: Bool) -> Void
  ) {
    // Weakly: the reaper may hang, and must not keep the resident in memory.
    cached.look(
      ifOlderThan: age, at: { [weak self] files in self?.pieces.cachedParts(in: files) ?? [] },
      warmsUp: warmsUp
    ) { [weak self] look, isWarmedUp in
      self?.pieces.note(look)
      found(look, isWarmedUp)
    }
  }
}
