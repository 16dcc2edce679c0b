import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// Work that one thread does and other threads may wait for, so that it is done once.
///
/// The flight says only that the work has ended. A thread that waited looks again, and if the work
/// failed, does it with its own client's files: one client's failure is never another's answer.
final class Flight: Sendable {
  private struct State {
    var hasEnded = false
    var waiterCount = 0
    /// The bytes that a load will read, and those that it has read.
    var byteCount = 0
    var readByteCount = 0
    // The first thread that waits makes it; most flights end before that.
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

  /// Sets how many bytes will be read.
  func expect(_ byteCount: Int) {
    state.withLock { $0.byteCount = byteCount }
  }

  /// Adds bytes that were read.
  func didRead(_ byteCount: Int) {
    state.withLock { state in
      // The same bytes may be read for several pieces.
      state.readByteCount += min(byteCount, state.byteCount - state.readByteCount)
    }
  }

  /// The part of the expected bytes that was read, from 0 to 1.
  var readPart: Double {
    state.withLock { $0.byteCount > 0 ? Double($0.readByteCount) / Double($0.byteCount) : 0 }
  }

  /// Whether another thread waits for the result.
  var isAwaited: Bool { state.withLock { $0.waiterCount > 0 } }

  var hasEnded: Bool { state.withLock { $0.hasEnded } }

  /// Ends the flight, and wakes all threads that wait.
  func end() {
    state.withLock { state in
      state.hasEnded = true
      state.event?.signal()
    }
  }
}
