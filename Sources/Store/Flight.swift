import Kernel
import SystemPackage
import TensorModel

/// Work that one thread does and others may wait for, so that it is done once.
///
/// The flight says only that the work has ended. Who waited looks again, and if the work failed,
/// does it with its own descriptors: one client's failure is never another's answer.
final class Flight: Sendable {
  private struct State {
    var hasEnded = false
    var waiterCount = 0
    // Made by the first who waits; most flights are over before anybody does.
    var event: Event?
  }

  // Invariant: once `hasEnded`, the event, if there is one, is signalled.
  private let state = Monitor(State())

  /// Begins to wait: returns the event to poll for, or nil if the work has ended.
  ///
  /// Then `leave`.
  func join() throws(Problem) -> Event? {
    do {
      return try state.withLock { state throws(Errno) -> Event? in
        guard !state.hasEnded else { return nil }
        let event: Event
        if let made = state.event { event = made } else { event = try Event() }
        state.event = event
        state.waiterCount += 1
        return event
      }
    } catch {
      throw Problem(.quota, "cannot wait for another client's load: \(error)")
    }
  }

  func leave() {
    state.withLock { $0.waiterCount -= 1 }
  }

  /// Whether anybody but the thread that does the work wants the result.
  var isAwaited: Bool { state.withLock { $0.waiterCount > 0 } }

  var hasEnded: Bool { state.withLock { $0.hasEnded } }

  /// Tells everybody that the work has ended.
  func end() {
    state.withLock { state in
      state.hasEnded = true
      state.event?.signal()
    }
  }
}
