import WarmstartKernel
package import WarmstartTensorModel

/// Compares the checksums of stored runs, each once, on the caller's thread and those of helpers.
///
/// The threads take *stretches* of neighbouring runs in the order of the disk. One thread at a time
/// brings its stretch into the page cache, so a cold file is read from its start to its end, and
/// meanwhile another thread computes checksums. All of them read through the files of the client
/// that waits for the result.
package final class Verification: Sendable {
  /// How often the caller's thread reports progress while it waits for helpers.
  private static let lookMilliseconds = 50

  /// What the threads read from.
  private struct Source: Sendable {
    let checkpoint: Checkpoint
    let files: FileSet
    let keepsCached: Bool
    /// In the order of the disk.
    let runs: [(run: Int, tensor: Int)]
    let stretches: [Range<Int>]

    /// What reads a stretch in huge pages; nil if its bytes do not stay, its file may not answer,
    /// or it is shorter than a huge page.
    ///
    /// While a page fault waits for a file, the process may be unable to change its mappings. So
    /// only files on file systems that no user runs are warmed up.
    func warmUp(of runs: ArraySlice<(run: Int, tensor: Int)>) -> WarmUp? {
      guard keepsCached, checkpoint.records == nil, files.generation.isShared else {
        return nil
      }
      guard let range = checkpoint.range(of: runs), range.count >= Mapping.hugePageByteCount else {
        return nil
      }
      return WarmUp(range)
    }
  }

  private struct State {
    /// Nil once the caller's thread has ended, so that no helper closes the client's files.
    var source: Source?
    /// The first stretch that no thread has taken.
    var next = 0
    /// Whether a thread brings the stretch that it took into the page cache.
    var isWarmingUp = false
    var helperCount = 0
    /// The first problem in the order of the disk, and its stretch.
    var failure: (stretch: Int, problem: Problem)?
    /// Whether the client waits no more.
    var isCancelled = false
    /// The bytes that helpers have read and the caller's thread has not reported.
    var unreportedByteCount = 0
  }

  // Invariant: after a failure no thread takes a stretch; those before it have been taken.
  private let state: Monitor<State>
  /// Whether the work is enough for two threads.
  package let isShareable: Bool

  /// Prepares to verify runs, each given with its tensor.
  ///
  /// - Parameter keepsCached: Whether the bytes stay in the page cache, as clients need them there.
  package init(
    of runs: [(run: Int, tensor: Int)], _ checkpoint: Checkpoint, _ files: FileSet,
    keepsCached: Bool
  ) {
    let order = checkpoint.inOrderOfDisk(runs)
    let stretches = checkpoint.stretches(of: order)
    // Starting a thread takes as long as verifying some 100 KiB. Two threads would decode the
    // blocks of a V1 table twice. They would read a file at two places at once, for which a
    // mount of an object store fetches many times what is read.
    isShareable =
      stretches.count > 1 && checkpoint.records == nil && checkpoint.hasStretch(order)
      && !files.generation.isReadInOrder
    let source = Source(
      checkpoint: checkpoint, files: files, keepsCached: keepsCached, runs: order,
      stretches: stretches)
    state = Monitor(State(source: source))
  }

  /// Verifies until nothing is left, and waits for the helpers.
  ///
  /// - Parameters:
  ///   - checkIn: Throws if no client waits for the result any more.
  ///   - didRead: Receives the number of bytes of runs after each read of any thread.
  /// - Throws: The first problem in the order of the disk.
  package func run(
    checkIn: @escaping () throws(Problem) -> Void, didRead: @escaping (Int) -> Void
  ) throws(Problem) {
    defer { state.withLock { $0.source = nil } }
    takeStretches(checkIn) { [self] byteCount in didRead(byteCount + takeUnreported()) }
    while !waitForHelpers() {
      didRead(takeUnreported())
      do { try checkIn() } catch { cancel(error) }
    }
    didRead(takeUnreported())
    if let failure = state.withLock({ $0.failure }) { throw failure.problem }
  }

  /// Announces a helper, which `help` ends, or `endHelp` if it cannot be started.
  package func beginHelp() {
    state.withLock { $0.helperCount += 1 }
  }

  /// Verifies on a helper's thread until nothing is left or the condition no longer holds.
  package func help(while isAllowed: () -> Bool) {
    takeStretches(while: isAllowed) { [state] () throws(Problem) in
      guard state.withLock({ $0.isCancelled }) else { return }
      throw Problem(.cancelled, "no client waits for the result")
    } didRead: { [state] byteCount in
      state.withLock { $0.unreportedByteCount += byteCount }
    }
  }

  /// Notes that a helper has ended, and holds none of the files any more.
  package func endHelp() {
    state.notifying { $0.helperCount -= 1 }
  }

  // MARK: Stretches

  private func takeStretches(
    while isAllowed: () -> Bool = { true }, _ checkIn: @escaping () throws(Problem) -> Void,
    didRead: @escaping (Int) -> Void
  ) {
    guard let source = state.withLock({ $0.source }) else { return }
    var loading = Loading(
      source.checkpoint, source.files, keepsCached: source.keepsCached, checkIn: checkIn,
      didRead: didRead)
    var none = Arena()
    while isAllowed(), let number = takeStretch(of: source) {
      let runs = source.runs[source.stretches[number]]
      loading.reader.warmUp = warmUp(runs, of: source)
      do throws(Problem) {
        try loading.load(verifying: Array(runs), filling: [], of: &none)
      } catch {
        fail(error, at: number)
      }
    }
  }

  /// Takes the next stretch, once no other thread waits for the disk; then call `warmUp`.
  private func takeStretch(of source: Source) -> Int? {
    let taken = state.wait { state -> Int?? in
      guard state.failure == nil, state.next < source.stretches.count else { return .some(nil) }
      guard !state.isWarmingUp else { return nil }
      state.isWarmingUp = true
      defer { state.next += 1 }
      return state.next
    }
    return taken ?? nil
  }

  /// Brings the start of a stretch into the page cache, and lets another thread take the next one.
  ///
  /// - Returns: What brings in the rest, if the stretch is a long run.
  private func warmUp(_ runs: ArraySlice<(run: Int, tensor: Int)>, of source: Source) -> WarmUp? {
    defer { state.notifying { $0.isWarmingUp = false } }
    guard let first = runs.first, var warmUp = source.warmUp(of: runs),
      let member = source.checkpoint.member(ofRun: first.run, in: source.files)
    else { return nil }
    warmUp.reachFirstWindow(of: member)
    return warmUp
  }

  private func fail(_ problem: Problem, at stretch: Int) {
    state.withLock { state in
      if let failure = state.failure, failure.stretch < stretch { return }
      state.failure = (stretch, problem)
    }
  }

  private func cancel(_ problem: Problem) {
    state.withLock { state in
      guard !state.isCancelled else { return }
      state.isCancelled = true
      // Before all stretches: helpers fail now, too.
      state.failure = (-1, problem)
    }
  }

  /// Waits a little until the helpers have ended; returns whether they have.
  private func waitForHelpers() -> Bool {
    state.wait(until: .after(milliseconds: Self.lookMilliseconds)) { state in
      state.helperCount == 0 ? true : nil
    } ?? false
  }

  private func takeUnreported() -> Int {
    state.withLock { state in
      defer { state.unreportedByteCount = 0 }
      return state.unreportedByteCount
    }
  }
}

extension Checkpoint {
  /// The bytes of a stretch: one window of the warm-up.
  ///
  /// A longer run is a stretch of its own.
  private static let stretchByteCount = 8 << 20
  /// The longest gap between two runs of a stretch, and the most runs; chosen, not tuned.
  private static let stretchGapByteCount = 64 << 10
  private static let maximumStretchCount = 4096

  /// Divides runs that are in the order of the disk into stretches of neighbours.
  fileprivate func stretches(of order: [(run: Int, tensor: Int)]) -> [Range<Int>] {
    var stretches: [Range<Int>] = []
    var start = 0
    var byteCount = 0
    for position in order.indices {
      let run = stored[order[position].run]
      if position > start {
        let last = stored[order[position - 1].run]
        let isNear =
          run.shard == last.shard
          && distance(from: last, to: run).map { $0 <= Self.stretchGapByteCount } ?? false
        if !isNear
          || min(Self.stretchByteCount, max(0, run.byteCount)) > Self.stretchByteCount - byteCount
          || position - start == Self.maximumStretchCount
        {
          stretches.append(start..<position)
          (start, byteCount) = (position, 0)
        }
      }
      byteCount = min(
        Self.stretchByteCount, byteCount + min(Self.stretchByteCount, max(0, run.byteCount)))
    }
    if start < order.count { stretches.append(start..<order.count) }
    return stretches
  }

  /// The file of a run; nil if the client did not pass it.
  fileprivate func member(ofRun run: Int, in files: FileSet) -> FileSet.Member? {
    files.position(ofShard: stored[run].shard, of: shardCount).map { files.members[$0] }
  }

  /// Whether runs have more bytes than a stretch.
  fileprivate func hasStretch(_ order: [(run: Int, tensor: Int)]) -> Bool {
    var left = Self.stretchByteCount
    for (run, _) in order {
      guard stored[run].byteCount <= left else { return true }
      left -= max(0, stored[run].byteCount)
    }
    return false
  }

  /// The bytes of a file from a run's end to another run's start, negative if they overlap; nil if
  /// an end is no offset.
  private func distance(from first: StoredBytes, to second: StoredBytes) -> Int? {
    let (end, overflow) = first.offset.addingReportingOverflow(max(0, first.byteCount))
    guard !overflow else { return nil }
    let (distance, isTooFar) = second.offset.subtractingReportingOverflow(end)
    return isTooFar ? nil : distance
  }

  /// The part of its file that a stretch takes; nil if it takes none.
  fileprivate func range(of runs: ArraySlice<(run: Int, tensor: Int)>) -> Range<Int>? {
    guard let first = runs.first.map({ stored[$0.run] }) else { return nil }
    var end = first.offset
    for (run, _) in runs {
      let (next, overflow) = stored[run].offset.addingReportingOverflow(
        max(0, stored[run].byteCount))
      guard !overflow else { return nil }
      end = max(end, next)
    }
    return first.offset >= 0 && end > first.offset ? first.offset..<end : nil
  }
}
