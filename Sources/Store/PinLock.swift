import SystemPackage
package import WarmstartCheckpoint
import WarmstartKernel
package import WarmstartTensorModel

// An administrator may have what is warm of a pinned checkpoint locked into memory, so that the
// kernel takes no page of it however short memory is. The daemon maps the files and arenas for
// that, and never touches the mappings: truncating a file takes its pages out of the lock, and
// harms nothing else. The pages of files are charged to the administrator as if they were arenas,
// so that locks and arenas together stay within the budget. What is made later is not locked until
// the checkpoint is pinned again.

/// What is locked of one checkpoint; ends with the last reference.
package final class PinLock: Sendable {
  /// A stretch of a file or of an arena that is locked.
  fileprivate final class Part: Sendable {
    private let mapping: Mapping
    private let charge: Charge
    private let total: AtomicNumber

    init(_ mapping: Mapping, _ charge: consuming Charge, in total: AtomicNumber) {
      self.mapping = mapping
      self.charge = charge
      self.total = total
    }

    deinit { total.add(-mapping.byteCount) }
  }

  private let parts: [Part]
  /// The bytes that are locked.
  let byteCount: Int

  fileprivate init(_ parts: [Part], byteCount: Int) {
    self.parts = parts
    self.byteCount = byteCount
  }
}

/// Whether a resident is to be locked, and what is.
struct LockState {
  /// Whether the next process locks it as well.
  var isWanted = false
  var lock: PinLock?
}

extension Store {
  /// The bytes that are locked in one step, between which a call looks whether its client has gone.
  private static let lockStepByteCount = 256 << 20

  /// Locks what is warm of a leased checkpoint into memory.
  ///
  /// - Parameter files: The files of the lease.
  /// - Returns: What is locked, for `keep`.
  /// - Throws: UNSUPPORTED for files on a file system of a user's own, which could make the whole
  ///   process hang; QUOTA if the process may not lock that much; BUDGET or QUOTA if it exceeds the
  ///   budget; CHECKPOINT_CHANGED if a file has become shorter.
  package func lock(
    _ lease: Lease, _ files: FileSet, for caller: Caller
  ) throws(Problem) -> PinLock {
    try lock(lease.resident, files, lease.tab, for: caller)
  }

  /// Keeps a lock until the checkpoint's pin ends.
  package func keep(_ lock: PinLock, of lease: Lease) {
    lease.resident.lock.withLock { $0 = LockState(isWanted: true, lock: lock) }
    legacy.update(writingRecords: true, settles: true)
  }

  func lock(
    _ resident: Resident, _ files: FileSet, _ tab: Tab, for caller: Caller
  ) throws(Problem) -> PinLock {
    guard files.generation.isShared else {
      throw Problem(
        .unsupported,
        "the checkpoint cannot be locked into memory: one of its files is on another file system than "
          + "ext4, xfs, btrfs and tmpfs")
    }
    var stretches: [(file: File, range: Range<Int>, isCharged: Bool)] = []
    // One stretch for each file: a checkpoint of very many tensors must not take all mappings.
    var spans: [Int: Range<Int>] = [:]
    for part in resident.pieces.cachedParts(in: files) {
      let known = spans[part.position] ?? part.range
      spans[part.position] =
        min(known.lowerBound, part.range.lowerBound)..<max(known.upperBound, part.range.upperBound)
    }
    for (position, range) in spans.sorted(by: { $0.key < $1.key }) {
      let start = range.lowerBound & ~(Mapping.pageByteCount - 1)
      stretches.append((files.members[position].file, start..<range.upperBound, true))
    }
    let arenas = resident.pieces.arenas
    for arena in arenas {
      // The arena is charged already.
      stretches.append((arena.arena.file, 0..<arena.arena.byteCount, false))
    }
    let byteCount = stretches.reduce(0) { $0 + $1.range.count }
    var parts: [PinLock.Part] = []
    for (file, range, isCharged) in stretches {
      for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.lockStepByteCount)
      {
        try caller.checkIn()
        let step = start..<min(range.upperBound, start + Self.lockStepByteCount)
        parts.append(try lock(file, step, of: byteCount, isCharged ? tab : nil))
      }
    }
    // A file that was truncated meanwhile is locked only in part.
    for position in spans.keys { try files.expectUnchanged(at: position) }
    return PinLock(parts, byteCount: byteCount)
  }

  private func lock(
    _ file: File, _ range: Range<Int>, of byteCount: Int, _ tab: Tab?
  ) throws(Problem) -> PinLock.Part {
    let charge = try charge(
      Amounts(memory: tab == nil ? 0 : range.count), to: tab ?? Tab(Account(0, in: accounts)),
      for: "locking a checkpoint")
    let limit = lockLimit
    lockedByteCount.add(range.count)
    do throws(Errno) {
      guard lockedByteCount.value <= limit else { throw .noMemory }
      let mapping = try Mapping(file.descriptor, offset: range.lowerBound, byteCount: range.count)
      try mapping.lock()
      return PinLock.Part(mapping, charge, in: lockedByteCount)
    } catch {
      lockedByteCount.add(-range.count)
      let wanted = Resource.memory.text(byteCount)
      throw Problem(
        .quota,
        "\(wanted) of the checkpoint cannot be locked into memory: the daemon may lock "
          + "\(limit == .max ? "any number of bytes" : Resource.memory.text(limit)) in all "
          + "(RLIMIT_MEMLOCK, LimitMEMLOCK= in its unit): \(error)")
    }
  }

  /// Locks a restored checkpoint again, on the reaper's thread: it may have to be read.
  func lockAgain(_ resident: Resident, _ files: FileSet, payer uid: UInt32) {
    resident.lock.withLock { $0.isWanted = true }
    reaper.run(for: files.openedBy) { [weak self, weak resident] in
      guard let self, let resident else { return }
      do throws(Problem) {
        guard files.members.count == files.generation.fileCount else {
          throw Problem(state: "not all of its files were kept")
        }
        let tab = resident.tab(for: Account(uid, in: self.accounts))
        let lock = try self.lock(resident, files, tab, for: Caller(nil, until: .never))
        resident.lock.withLock { if $0.isWanted { $0.lock = lock } }
      } catch {
        resident.lock.withLock { $0.isWanted = false }
        self.noteLost(
          "checkpoint \(resident.nameForPeople) is no longer locked into memory: \(error.message)")
      }
    }
  }
}

extension Resident {
  /// The bytes that are locked into memory.
  package var lockedByteCount: Int { lock.withLock { $0.lock?.byteCount ?? 0 } }

  /// Ends the lock, with the pin.
  func unlock() {
    let ended = lock.withLock { state in
      let ended = state
      state = LockState()
      return ended
    }
    // It ends here, outside the monitor: unmapping takes its time.
    _ = ended
  }
}
