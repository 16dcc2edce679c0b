import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// Work that one thread does and others may wait for, so that it is done once.
///
/// The flight says only that the work has ended. Who waited looks again, and if the work failed,
/// does it with its own descriptors: one client's failure is never another's answer.
final class Flight: Sendable {
  private struct State {
    var hasEnded = false
    var waiterCount = 0
    /// Of a load, the bytes that are to be read, and those that were.
    var byteCount = 0
    var readByteCount = 0
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

  /// Says how much is to be read.
  func expect(_ byteCount: Int) {
    state.withLock { $0.byteCount = byteCount }
  }

  /// Says that so much more was read.
  func didRead(_ byteCount: Int) {
    state.withLock { state in
      // The same bytes may be read for several pieces.
      state.readByteCount += min(byteCount, state.byteCount - state.readByteCount)
    }
  }

  /// The part of what is to be read that was, from 0 to 1.
  var readPart: Double {
    state.withLock { $0.byteCount > 0 ? Double($0.readByteCount) / Double($0.byteCount) : 0 }
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
