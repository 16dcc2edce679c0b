import WarmstartTensorModel

/// Counts the steps of long work, and asks at every so many of them whether anybody still waits.
struct CheckedSteps {
  /// Chosen, not tuned: what takes a few milliseconds; to ask is a system call.
  static let stepsBetweenCheckIns = 1 << 14

  private let checkIn: () throws(Problem) -> Void
  private var count = 0

  /// Begins before the first step; `checkIn` throws if nobody waits any more.
  init(_ checkIn: @escaping () throws(Problem) -> Void) {
    self.checkIn = checkIn
  }

  /// Takes a step; throws `stopped` if `checkIn` throws.
  mutating func step() throws(IndexError) {
    count += 1
    guard count == CheckedSteps.stepsBetweenCheckIns else { return }
    count = 0
    do { try checkIn() } catch { throw .stopped(error) }
  }
}
