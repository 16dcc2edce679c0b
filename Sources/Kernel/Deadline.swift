import CWarmstartLinux

/// The moment on the monotonic clock at which a wait or a call ends.
///
/// See `clock_gettime(2)`.
@usableFromInline package struct Deadline: Sendable, Hashable, Comparable {
  /// Nanoseconds on the monotonic clock; negative for `never`.
  let nanoseconds: Int64

  /// A deadline that never passes.
  @usableFromInline package static let never = Deadline(nanoseconds: -1)

  /// The deadline in a number of milliseconds; `never` if that is beyond the clock's range.
  package static func after(milliseconds: Int) -> Deadline {
    let (span, overflow) = Int64(max(0, milliseconds)).multipliedReportingOverflow(by: 1_000_000)
    let (moment, late) = clinux_now_ns().addingReportingOverflow(span)
    return overflow || late ? .never : Deadline(nanoseconds: moment)
  }

  /// The milliseconds until the deadline, rounded up, at least 0; nil for `never`.
  package var remainingMilliseconds: Int? {
    guard nanoseconds >= 0 else { return nil }
    return Int(max(0, nanoseconds - clinux_now_ns()) + 999_999) / 1_000_000
  }

  /// Whether the moment has passed.
  package var hasPassed: Bool { remainingMilliseconds == 0 }

  /// Whether one deadline passes before another; `never` is last.
  @usableFromInline package static func < (left: Deadline, right: Deadline) -> Bool {
    left.nanoseconds >= 0 && (right.nanoseconds < 0 || left.nanoseconds < right.nanoseconds)
  }
}

/// The clock that file systems take files' times from.
///
/// See `clock_gettime(2)`, CLOCK_REALTIME.
package enum RealTimeClock {
  /// Nanoseconds since 1970.
  package static func nanoseconds() -> Int64 { clinux_real_now_ns() }
}

/// The clock that no one sets, for measuring durations.
///
/// See `clock_gettime(2)`, CLOCK_MONOTONIC.
package enum MonotonicClock {
  /// Nanoseconds since an unspecified moment.
  package static func nanoseconds() -> Int64 { clinux_now_ns() }
}
