import CWarmstartLinux

/// State that one thread at a time may see, and a condition to wait on.
///
/// The one lock of the project: `Synchronization.Mutex` has no condition, and ThreadSanitizer
/// reports false races on what it guards. Its functions are inlined, since a generic call into
/// another module costs more than an uncontended lock. See `pthread_mutex_lock(3p)`,
/// `pthread_cond_timedwait(3p)`.
@safe
@usableFromInline package final class Monitor<State>: @unchecked Sendable {
  // Only touched while the lock is held, which is what makes the class Sendable. Behind a pointer,
  // where the lock already excludes what Swift would check at each access.
  @usableFromInline let state: UnsafeMutablePointer<State>
  private let lock: UnsafeMutablePointer<clinux_monitor>

  package init(_ state: sending State) {
    unsafe self.state = .allocate(capacity: 1)
    unsafe self.state.initialize(to: state)
    unsafe lock = .allocate(capacity: 1)
    unsafe clinux_monitor_begin(lock)
  }

  deinit {
    unsafe clinux_monitor_end(lock)
    unsafe lock.deallocate()
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
  }

  /// Runs the body alone; it must be short and must not take another lock out of order.
  @inlinable
  package func withLock<Result, Failure>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    acquire()
    defer { release() }
    return try unsafe body(&state.pointee)
  }

  /// Runs the body alone and then wakes all threads that wait.
  @inlinable
  package func notifying<Result, Failure>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // Once the lock is free: a thread that wakes earlier would only wait for it.
    defer { wakeAll() }
    return try withLock(body)
  }

  /// Runs the body alone and then wakes one of the waiting threads, if all wait for the same.
  @inlinable
  package func notifyingOne<Result, Failure>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { wakeOne() }
    return try withLock(body)
  }

  /// Waits until the body gives a result, asking it again after each notification; nil at the
  /// deadline.
  @inlinable
  package func wait<Result>(
    until deadline: Deadline = .never, for body: (inout State) -> Result?
  ) -> Result? {
    withLock { state in
      while true {
        if let result = body(&state) { return result }
        if !sleep(until: deadline) { return body(&state) }
      }
    }
  }

  // What inlined functions call, so that other modules need not see CLinux.

  @usableFromInline func acquire() { unsafe clinux_monitor_lock(lock) }

  @usableFromInline func release() { unsafe clinux_monitor_unlock(lock) }

  @usableFromInline func wakeAll() { unsafe clinux_monitor_notify(lock) }

  @usableFromInline func wakeOne() { unsafe clinux_monitor_notify_one(lock) }

  /// Waits for a notification, without the lock; returns false at the deadline.
  @usableFromInline func sleep(until deadline: Deadline) -> Bool {
    unsafe clinux_monitor_wait(lock, deadline.nanoseconds) == 0
  }
}
