import WarmstartTensorModel

/// Counts the steps of long work, and calls `checkIn` once every 16,384 steps.
struct CheckedSteps {
  /// A few milliseconds of work, since `checkIn` makes a system call; chosen, not tuned.
  static let stepsBetweenCheckIns = 1 << 14

  private let checkIn: () throws(Problem) -> Void
  private var count = 0

  /// Begins before the first step; `checkIn` throws if no client waits for the result any more.
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
