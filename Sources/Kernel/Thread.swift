import CWarmstartLinux
package import SystemPackage

/// Starts threads.
///
/// A thread's body captures what the thread owns, which ends with it.
package enum Thread {
  /// Enough for a call's stack frames with sanitizers on; memory is used only where it is touched.
  static let stackByteCount = 1 << 20

  /// Blocks this thread for a while.
  ///
  /// See `nanosleep(2)`.
  package static func sleep(milliseconds: Int) {
    clinux_sleep(Int64(max(0, milliseconds)) * 1_000_000)
  }

  /// Starts a thread that is never joined.
  ///
  /// See `pthread_create(3)`.
  package static func detach(_ body: @escaping @Sendable () -> Void) throws(Errno) {
    let box = unsafe Unmanaged.passRetained(ThreadBody(body)).toOpaque()
    let failed = unsafe clinux_thread(
      stackByteCount,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, box)
    guard failed < 0 else { return }
    unsafe Unmanaged<ThreadBody>.fromOpaque(box).release()
    throw Errno(rawValue: -failed)
  }
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
