/// Which runs of a checkpoint's files the page cache should have, which of them clients read there,
/// and how much of the others has gone to arenas.
///
/// A run whose bytes all are in arenas, and which no client ever wanted as a region of its file,
/// takes memory twice as long as the page cache has it.
struct FileUse {
  private var isShared: [Bool]
  /// Whether each run was read and left in the page cache.
  private(set) var isCached: [Bool]
  /// The bytes of runs that arenas have a part of.
  private var copied: [Int: Int] = [:]

  init(runCount: Int) {
    isShared = Array(repeating: false, count: runCount)
    isCached = isShared
  }

  /// Notes that a client reads a run as a region of its file.
  mutating func share(_ run: Int) {
    isShared[run] = true
  }

  /// Notes whether a run is left in the page cache; returns false if that was known.
  mutating func keep(_ run: Int, _ isCached: Bool) -> Bool {
    guard self.isCached[run] != isCached else { return false }
    self.isCached[run] = isCached
    return true
  }

  /// Counts bytes of a run that were copied to an arena; returns whether the page cache can drop
  /// the run.
  ///
  /// Bytes that go to two arenas count twice. If the run is needed again, it is read from the disk.
  mutating func copy(_ byteCount: Int, of run: Int, _ runByteCount: Int) -> Bool {
    guard !isShared[run] else { return false }
    let (sum, overflow) = copied[run, default: 0].addingReportingOverflow(byteCount)
    guard overflow || sum >= runByteCount else {
      copied[run] = sum
      return false
    }
    copied[run] = nil
    return true
  }
}
