import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// The bytes of a stored run that go to one piece, copied while the run streams past.
struct Copies {
  private enum Way {
    case box(Runs)
    /// Goes to places up to an offset in the arena, in any order.
    case gathered(GatheredRuns, end: Int)
  }

  /// Runs of this length and more are read straight into the arena; chosen, not tuned.
  private static let directByteCount = 64 << 10

  private var way: Way
  private let form: NumberForm

  /// Copies of a box.
  init(_ runs: Runs, _ form: NumberForm) {
    way = .box(runs)
    self.form = form
  }

  /// Copies of chosen rows, which go to places up to an offset in the arena.
  init(_ runs: GatheredRuns, end: Int, _ form: NumberForm) {
    way = .gathered(runs, end: end)
    self.form = form
  }

  /// Copies the wanted bytes of a chunk.
  ///
  /// Chunks must come in order, without gaps.
  mutating func copy(
    _ chunk: RawSpan, at offset: Int, to arena: inout Arena,
    _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) {
    switch way {
    case .box(var runs):
      do {
        try runs.copy(chunk, at: offset, to: &arena, form)
      } catch {
        throw Problem(lackOfMemory: error, arena.byteCount)
      }
      way = .box(runs)
    case .gathered(var runs, let end):
      try arena.take(upTo: end)
      var bytes = arena.bytes
      try runs.copy(chunk, at: offset, to: &bytes, form, checkIn)
      way = .gathered(runs, end: end)
    }
  }

  /// Where bytes from an offset of the run on go, if so many go to one place that reading them
  /// there is better than copying them.
  func directPlace(of offset: Int) -> (target: Int, count: Int)? {
    guard case .box(let runs) = way, hasDirectPlaces(runs) else { return nil }
    return runs.place(of: offset)
  }

  /// The bytes from an offset of the run to the next ones that have a direct place; nil if none
  /// follow.
  func distanceToDirectPlace(from offset: Int) -> Int? {
    guard case .box(let runs) = way, hasDirectPlaces(runs) else { return nil }
    return runs.distance(from: offset)
  }

  private func hasDirectPlaces(_ runs: Runs) -> Bool {
    form.isInPlace && runs.byteCount >= Copies.directByteCount
  }

  /// Finishes bytes that were read into their direct place; the offset of the run is their end.
  mutating func finish(_ range: Range<Int>, to offset: Int, in arena: inout Arena) {
    guard case .box(var runs) = way else { return }
    var bytes = arena.bytes
    form.finish(range, in: &bytes)
    runs.skip(to: offset)
    way = .box(runs)
  }
}

extension Arena {
  /// Takes memory up to an offset.
  ///
  /// - Throws: `budget` if the system has too little.
  mutating func take(upTo end: Int) throws(Problem) {
    do { try reserve(upTo: end) } catch { throw Problem(lackOfMemory: error, byteCount) }
  }
}

extension Problem {
  /// Reports that an arena cannot be filled, because the system has too little memory.
  fileprivate init(lackOfMemory error: Errno, _ byteCount: Int) {
    self.init(.budget, "cannot fill an arena of \(byteCount) bytes: \(error)")
  }
}
