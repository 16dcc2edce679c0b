/// Which runs of a checkpoint's files clients read in the page cache, and how much of the others has
/// gone to arenas.
///
/// A run whose bytes all are in arenas, and which no client ever wanted as a region of its file,
/// takes memory twice as long as the page cache has it.
struct FileUse {
  private var isShared: [Bool]
  /// The bytes of runs that arenas have a part of.
  private var copied: [Int: Int] = [:]

  init(runCount: Int) {
    isShared = Array(repeating: false, count: runCount)
  }

  /// A client wants a run as a region of its file.
  mutating func share(_ run: Int) {
    isShared[run] = true
  }

  /// Counts bytes of a run that were copied to an arena; returns whether the page cache can drop the
  /// run.
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
