import WarmstartKernel

/// Reads the configuration again when a signal asks for it, on a thread of its own: a file that
/// does not answer must not stop the main loop.
final class Reloading: Sendable {
  typealias Outcome = Daemon.ReloadOutcome

  private struct State {
    var isOrdered = false
    var isReading = false
    var outcome: Outcome?
  }

  private let read: @Sendable () -> Outcome
  private let wakeUp: Event
  private let state = Monitor(State())

  /// - Parameters:
  ///   - wakeUp: Wakes the main loop when there is an outcome.
  ///   - read: Reads the configuration.
  init(wakeUp: Event, _ read: @escaping @Sendable () -> Outcome) {
    self.wakeUp = wakeUp
    self.read = read
  }

  /// Has the configuration read; again if it is being read already.
  func order() {
    let mustStart = state.withLock { state in
      state.isOrdered = true
      defer { state.isReading = true }
      return !state.isReading
    }
    guard mustStart else { return }
    let run = { @Sendable [self] in
      while takeOrder() {
        let outcome = read()
        state.withLock { $0.outcome = outcome }
        wakeUp.signal()
      }
    }
    do { try Thread.detach(run) } catch { run() }
  }

  private func takeOrder() -> Bool {
    state.withLock { state in
      defer { state.isOrdered = false }
      state.isReading = state.isOrdered
      return state.isOrdered
    }
  }

  /// The outcome since the last call, if there is one.
  func takeOutcome() -> Outcome? {
    state.withLock { state in
      defer { state.outcome = nil }
      return state.outcome
    }
  }
}
