internal import CWarmstartSystemd
import SystemPackage
package import WarmstartKernel

/// Reports the daemon's state to the service manager, if there is one.
package enum ServiceManager {
  /// Reports that the service can be used now.
  ///
  /// See `sd_notify(3)`, READY=1.
  package static func ready() { notify("READY=1") }

  /// Reports that the service reads its configuration again, until it reports that it is ready.
  ///
  /// See `sd_notify(3)`, RELOADING=1, MONOTONIC_USEC=.
  package static func reloading() {
    notify("RELOADING=1\nMONOTONIC_USEC=\(MonotonicClock.nanoseconds() / 1000)")
  }

  /// Reports that the service begins to stop.
  ///
  /// See `sd_notify(3)`, STOPPING=1.
  package static func stopping() { notify("STOPPING=1") }

  /// Sets the line that `systemctl status` shows.
  ///
  /// See `sd_notify(3)`, STATUS=.
  package static func status(_ text: String) { notify("STATUS=\(text)") }

  /// Reports that the service is alive.
  ///
  /// See `sd_notify(3)`, WATCHDOG=1.
  package static func ping() { notify("WATCHDOG=1") }

  /// How often `ping` must be called, in milliseconds; nil if the unit has no watchdog.
  ///
  /// Half of the unit's interval, as `sd_watchdog_enabled(3)` advises.
  package static var watchdogMilliseconds: Int? {
    var microseconds: UInt64 = 0
    guard unsafe sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
    return max(1, Int(clamping: microseconds / 2000))
  }

  /// Asks for more time to start, counted from now.
  ///
  /// See `sd_notify(3)`, EXTEND_TIMEOUT_USEC=.
  package static func extendTimeout(milliseconds: Int) {
    notify("EXTEND_TIMEOUT_USEC=\(milliseconds)000")
  }

  // MARK: The descriptor store

  /// The most descriptors that the daemon stores: each new one is compared with all others, and 600
  /// took the service manager 400 ms.
  private static let storedCount = 96

  /// How many descriptors the store takes; 0 without a service manager.
  ///
  /// Before systemd 254 the manager does not say how many the unit allows.
  package static var storeCapacity: Int {
    guard Process.environment("NOTIFY_SOCKET") != nil else { return 0 }
    let said = Process.environment("FDSTORE").flatMap { Int($0) }
    return min(storedCount, max(0, said ?? storedCount))
  }

  /// Adds a copy of a descriptor to the store, which outlives this process; returns false if that
  /// failed.
  ///
  /// See `sd_pid_notify_with_fds(3)`, FDSTORE=1.
  package static func store(_ file: File, _ name: String) -> Bool {
    var number = file.descriptor.borrowedNumber()
    let result = unsafe "FDSTORE=1\nFDNAME=\(name)".withCString {
      unsafe sd_pid_notify_with_fds(0, 0, $0, &number, 1)
    }
    return result > 0
  }

  /// Has the store close the descriptors of a name.
  ///
  /// See `sd_notify(3)`, FDSTOREREMOVE=1.
  package static func removeStored(_ name: String) {
    notify("FDSTOREREMOVE=1\nFDNAME=\(name)")
  }

  /// How long `settle` waits at most, in microseconds; chosen, not tuned.
  private static let settleMicroseconds: UInt64 = 1_000_000

  /// Waits until the manager has handled what was sent.
  ///
  /// See `sd_notify_barrier(3)`.
  package static func settle() {
    _ = sd_notify_barrier(0, settleMicroseconds)
  }

  private static func notify(_ state: String) {
    // Without a manager this returns 0; a manager that cannot be reached misses the report.
    _ = unsafe state.withCString { unsafe sd_notify(0, $0) }
  }
}
