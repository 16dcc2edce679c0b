internal import CWarmstartSystemd
import SystemPackage
import WarmstartKernel

/// Tells the service manager what this service does.
///
/// Does nothing if there is none.
package enum ServiceManager {
  /// The service can be used now.
  ///
  /// See `sd_notify(3)`, READY=1.
  package static func ready() { notify("READY=1") }

  /// The service begins to stop.
  ///
  /// See `sd_notify(3)`, STOPPING=1.
  package static func stopping() { notify("STOPPING=1") }

  /// The line that `systemctl status` shows.
  ///
  /// See `sd_notify(3)`, STATUS=.
  package static func status(_ text: String) { notify("STATUS=\(text)") }

  /// The service is alive.
  ///
  /// See `sd_notify(3)`, WATCHDOG=1.
  package static func ping() { notify("WATCHDOG=1") }

  /// How often `ping` must be called, in milliseconds; nil if nobody watches.
  ///
  /// Half of what the unit says, as `sd_watchdog_enabled(3)` advises.
  package static var watchdogMilliseconds: Int? {
    var microseconds: UInt64 = 0
    guard unsafe sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
    return max(1, Int(clamping: microseconds / 2000))
  }

  private static func notify(_ state: String) {
    // Without a manager this returns 0; a manager that cannot be reached has nothing to be told.
    _ = unsafe state.withCString { unsafe sd_notify(0, $0) }
  }
}

/// Messages for the operator, on standard error; the journal takes the level from their prefix.
///
/// See `sd-daemon(3)`, SD_WARNING.
package enum Log {
  /// How much a message matters.
  ///
  /// See `syslog(3)`.
  package enum Level: Int, Sendable {
    case error = 3
    case warning = 4
    case information = 6
  }

  /// Writes a line, or drops it if it would have to wait for somebody to read the log.
  ///
  /// What it says of clients must be escaped already.
  package static func write(_ level: Level, _ text: String) { sink.write(level, text) }

  /// Standard error, which stays open.
  ///
  /// Whether it leads to the journal is in JOURNAL_STREAM, see `systemd.exec(5)`.
  private static let sink = LogSink(
    File(Descriptor(adopting: FileDescriptor.standardError.rawValue)),
    isJournal: Process.environment("JOURNAL_STREAM") != nil)
}
