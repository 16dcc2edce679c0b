import WarmstartCheckpoint
import WarmstartKernel

/// All files of a resident, as the client opened them that read its index: to ask what the page
/// cache has of them, and to bring back what the kernel took.
///
/// The kernel takes pages when it needs memory, and reports that to nobody, so only a look finds
/// out what is warm. Only the reaper of the client's user touches the files. It closes them when
/// the last reference ends, and earlier if one of them has changed or was deleted.
final class CachedFiles: Sendable {
  /// The bytes that are brought back in one of the reaper's jobs, so that others need not wait
  /// long.
  private static let stepByteCount = 64 << 20

  /// What a look found: the bytes that should be in the page cache, and those that are.
  struct Look: Sendable {
    let byteCount: Int
    let cachedByteCount: Int

    var missedByteCount: Int { byteCount - cachedByteCount }

    /// The part of an amount that is as large as the part of the bytes that is missing.
    func missed(of amount: Int) -> Int {
      guard missedByteCount > 0 else { return 0 }
      guard cachedByteCount > 0 else { return amount }
      return Int(Double(amount) * (Double(missedByteCount) / Double(byteCount)))
    }
  }

  private final class Contents: Sendable {
    // Invariant: charged as long as there are files.
    private let state: Monitor<FileSet?>
    /// Why the files were closed; nil as long as they are open.
    let loss = Monitor<HeldFiles.Loss?>(nil)
    private let charge: Charge
    /// Whether the reaper has been asked and has not answered.
    private let isAsking = AtomicNumber(0)
    /// When the last look began, in milliseconds of the monotonic clock.
    let lookedAt = AtomicNumber(0)

    init(_ files: FileSet, _ charge: consuming Charge) {
      state = Monitor(files)
      self.charge = charge
    }

    var files: FileSet? { state.withLock { $0 } }

    func beginAsking() -> Bool { isAsking.exchange(1) == 0 }
    func endAsking() { _ = isAsking.exchange(0) }

    /// The files, on the reaper's thread; nil if they are closed, are no longer those of the
    /// generation, which closes them, or cannot be examined now.
    var intact: FileSet? {
      guard let files = state.withLock({ $0 }) else { return nil }
      for member in files.members {
        guard let now = try? member.file.status() else { return nil }
        if now.linkCount > 0, Generation.isSameBytes(now, member.status) { continue }
        loss.withLock { $0 = now.linkCount > 0 ? .change : .deletion }
        end()
        return nil
      }
      return files
    }

    /// Closes the files on this thread.
    func end() {
      let ended = state.withLock { files in
        defer { files = nil }
        return files
      }
      // They end here, outside the lock.
      _ = ended
    }
  }

  /// The user who opened the files.
  let uid: UInt32
  private let reaper: Reaper
  private let contents: Contents

  /// Takes over a user's files.
  init(_ files: FileSet, _ charge: consuming Charge, _ reaper: Reaper) {
    uid = files.openedBy
    self.reaper = reaper
    contents = Contents(files, charge)
  }

  /// The files, as long as they are open.
  var files: FileSet? { contents.files }

  /// Why the files are no longer those of the generation, as far as a look has found.
  var loss: HeldFiles.Loss? { contents.loss.withLock { $0 } }

  deinit {
    reaper.run(for: uid) { [contents] in contents.end() }
  }

  /// Has the reaper look at the page cache, unless it has looked a moment ago or is looking.
  ///
  /// - Parameters:
  ///   - age: The milliseconds for which the last look is good enough.
  ///   - parts: What should be there, asked on the reaper's thread.
  ///   - warmsUp: Whether to bring back what is missing, given its bytes.
  ///   - found: Receives each look: the first, and the one after warming up.
  func look(
    ifOlderThan age: Int, at parts: @escaping @Sendable (FileSet) -> [FilePart],
    warmsUp: @escaping @Sendable (_ missedByteCount: Int) -> Bool,
    _ found: @escaping @Sendable (_ look: Look, _ isWarmedUp: Bool) -> Void
  ) {
    let now = Int(MonotonicClock.nanoseconds() / 1_000_000)
    let last = contents.lookedAt.value
    // A reaper that hangs must not collect more and more jobs.
    guard last == 0 || now - last >= age, contents.beginAsking() else { return }
    _ = contents.lookedAt.exchange(now)
    reaper.run(for: uid) { [contents, reaper, uid] in
      guard let files = contents.intact else { return contents.endAsking() }
      let parts = parts(files)
      guard let look = Self.look(at: parts, files) else { return contents.endAsking() }
      found(look, false)
      guard look.missedByteCount > 0, warmsUp(look.missedByteCount) else {
        return contents.endAsking()
      }
      let steps = parts.flatMap { $0.steps(of: Self.stepByteCount) }
      Self.warmUp(steps[...], contents, reaper, uid) {
        if let look = Self.look(at: parts, $0) { found(look, true) }
      }
    }
  }

  private static func look(at parts: [FilePart], _ files: FileSet) -> Look? {
    files.cachedByteCount(of: parts).map { Look(byteCount: $0.all, cachedByteCount: $0.cached) }
  }

  /// Brings parts back, one in each job, and then runs `end`.
  private static func warmUp(
    _ parts: ArraySlice<FilePart>, _ contents: Contents, _ reaper: Reaper, _ uid: UInt32,
    _ end: @escaping @Sendable (FileSet) -> Void
  ) {
    guard let files = contents.intact else { return contents.endAsking() }
    guard let part = parts.first else {
      end(files)
      return contents.endAsking()
    }
    files.warmUp(part)
    reaper.run(for: uid) { warmUp(parts.dropFirst(), contents, reaper, uid, end) }
  }
}
