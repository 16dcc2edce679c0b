import CWarmstartLinux

/// A moment on the monotonic clock by which something must have happened.
///
/// See `clock_gettime(2)`.
package struct Deadline: Sendable, Hashable, Comparable {
  /// Nanoseconds on the monotonic clock; negative for `never`.
  let nanoseconds: Int64

  /// A deadline that does not come.
  package static let never = Deadline(nanoseconds: -1)

  /// The deadline a number of milliseconds from now; clamped, never wrapped.
  package static func after(milliseconds: Int) -> Deadline {
    let (span, overflow) = Int64(max(0, milliseconds)).multipliedReportingOverflow(by: 1_000_000)
    let (moment, late) = clinux_now_ns().addingReportingOverflow(span)
    return overflow || late ? .never : Deadline(nanoseconds: moment)
  }

  /// The milliseconds until then, rounded up, at least 0; nil for `never`.
  package var remainingMilliseconds: Int? {
    guard nanoseconds >= 0 else { return nil }
    return Int(max(0, nanoseconds - clinux_now_ns()) + 999_999) / 1_000_000
  }

  /// Whether the moment has passed.
  package var hasPassed: Bool { remainingMilliseconds == 0 }

  package static func < (left: Deadline, right: Deadline) -> Bool {
    left.nanoseconds >= 0 && (right.nanoseconds < 0 || left.nanoseconds < right.nanoseconds)
  }
}

/// The clock that files have their times from.
///
/// See `clock_gettime(2)`, CLOCK_REALTIME.
package enum RealTimeClock {
  /// Nanoseconds since 1970.
  package static func nanoseconds() -> Int64 { clinux_real_now_ns() }
}

/// The monotonic clock, for durations.
///
/// See `clock_gettime(2)`, CLOCK_MONOTONIC.
package enum MonotonicClock {
  /// Nanoseconds since an unspecified start.
  package static func nanoseconds() -> Int64 { clinux_now_ns() }
}
