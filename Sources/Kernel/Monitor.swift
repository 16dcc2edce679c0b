import CWarmstartLinux

/// State that one thread at a time may see, and a condition to wait on.
///
/// The one lock of the project: `Synchronization.Mutex` has no condition, and ThreadSanitizer reports
/// false races on what it guards. See `pthread_mutex_lock(3p)`, `pthread_cond_timedwait(3p)`.
@safe
package final class Monitor<State>: @unchecked Sendable {
  // Only touched while the lock is held, which is what makes the class Sendable.
  private var state: State
  private let lock: UnsafeMutableRawPointer

  package init(_ state: sending State) {
    self.state = state
    unsafe lock = clinux_monitor_create()
  }

  deinit {
    unsafe clinux_monitor_destroy(lock)
  }

  /// Runs the body alone; it must be short and must not take another lock out of order.
  package func withLock<Result, Failure>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe clinux_monitor_lock(lock)
    defer { unsafe clinux_monitor_unlock(lock) }
    return try body(&state)
  }

  /// Runs the body alone and then wakes whoever waits.
  package func notifying<Result, Failure>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // Once the lock is free: who wakes would only wait for it.
    defer { unsafe clinux_monitor_notify(lock) }
    return try withLock(body)
  }

  /// Runs the body alone and then wakes one of those who wait, if all wait for the same.
  package func notifyingOne<Result, Failure>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { unsafe clinux_monitor_notify_one(lock) }
    return try withLock(body)
  }

  /// Waits until the body gives a result, asking it again after each notification; nil at the deadline.
  package func wait<Result>(
    until deadline: Deadline = .never, for body: (inout State) -> Result?
  ) -> Result? {
    withLock { state in
      while true {
        if let result = body(&state) { return result }
        if unsafe clinux_monitor_wait(lock, deadline.nanoseconds) != 0 { return body(&state) }
      }
    }
  }
}
