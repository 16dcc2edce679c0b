package import WarmstartKernel

/// Feeds the service manager's watchdog, as long as the main loop and the workers are alive.
///
/// The main loop beats in each of its turns. When a ping is due it has a worker run a check, which
/// takes the locks that calls take. The ping follows only when the check has ended, so a daemon
/// whose locks or threads hang gets no more pings, and the service manager starts another.
package struct Heartbeat {
  /// What the main loop must do after a beat.
  package enum Beat: Sendable, Hashable {
    case nothing
    /// Have a worker call `Answer.give`.
    case check
    /// Ping the service manager.
    case ping
    /// Log that no worker answers.
    case complaint
  }

  /// The workers' side of the check.
  package final class Answer: Sendable {
    private let isGiven = AtomicNumber()

    /// Reports that a worker is alive.
    package func give() { _ = isGiven.exchange(1) }

    fileprivate func take() -> Bool { isGiven.exchange(0) == 1 }
  }

  package let answer = Answer()
  private let milliseconds: Int?
  private var isChecking = false
  /// When the heartbeat needs a turn by itself.
  package private(set) var due: Deadline

  /// Makes a heartbeat that pings at this interval, or one that does nothing.
  package init(milliseconds: Int?) {
    self.milliseconds = milliseconds
    due = milliseconds.map { .after(milliseconds: $0) } ?? .never
  }

  /// Notes that the main loop is alive.
  package mutating func beat() -> Beat {
    guard let milliseconds else { return .nothing }
    if isChecking, answer.take() {
      isChecking = false
      due = .after(milliseconds: milliseconds)
      return .ping
    }
    guard due.hasPassed else { return .nothing }
    // The check has as long as a ping; after that it is only waited for.
    due = isChecking ? .never : .after(milliseconds: milliseconds)
    defer { isChecking = true }
    return isChecking ? .complaint : .check
  }
}
