package import WarmstartKernel
package import WarmstartTensorModel

// A file is accepted if it is what a checkpoint's file must be, and if another write would leave a
// trace. File systems take times from a clock that stands still for some milliseconds: a file that
// changed within its last step could change again and keep its time, as in git's index. Such a file
// is looked at again until the clock has moved.

extension FileSet {
  /// Examines a file, which must be a regular one that can be read and not written.
  package static func accept(_ file: File, as role: String) throws(Problem) -> FileStatus {
    do {
      guard try file.isReadOnly() else {
        throw Problem(.notAllowed, "the \(role) must be opened read-only (and without O_PATH)")
      }
      let status = try file.status()
      guard status.isRegular else {
        throw Problem(.notAllowed, "the \(role) is not a regular file")
      }
      return status
    } catch let problem as Problem {
      throw problem
    } catch {
      throw Problem(.system, "the \(role) cannot be examined: \(error)")
    }
  }

  /// The coarsest step of the clock that file systems take times from: 100 Hz, in nanoseconds.
  ///
  /// Linux 6.13 and later have finer times for files that somebody looks at.
  private static let clockStep: Int64 = 10_000_000
  /// The step of file systems that keep whole seconds (ext4 with small inodes), and one more.
  private static let wholeStep: Int64 = 2_000_000_000
  /// How many steps of their clock all files together have to come to rest, and some to spare.
  private static let patience: Int64 = 10
  /// How long a wait may be without a look at whether anybody still waits for the result.
  private static let sliceMilliseconds = 50

  /// Waits until another write would give a file another time; returns what it is then.
  ///
  /// A file that changed within the clock's last step could change again without a trace, as in git's
  /// index. Throws `checkpointChanged` if it does not come to rest.
  static func settled(
    _ file: File, _ first: FileStatus, as role: FileRole, since began: inout Int64?,
    _ checkIn: () throws(Problem) -> Void
  ) throws(Problem) -> FileStatus {
    var status = first
    while let wait = youth(of: status, file) {
      let now = MonotonicClock.nanoseconds()
      let waited = now - (began ?? now)
      began = began ?? now
      let isWhole = status.changed % 1_000_000_000 == 0
      guard waited < (isWhole ? wholeStep : 0) + patience * clockStep else {
        throw Problem(
          .checkpointChanged, "the \(role) is being written; open it again when it is not")
      }
      try checkIn()
      Thread.sleep(milliseconds: min(sliceMilliseconds, Int(wait / 1_000_000) + 1))
      do { status = try file.status() } catch {
        throw Problem(.system, "the \(role) cannot be examined: \(error)")
      }
    }
    return status
  }

  /// How long a file can still change without a trace, in nanoseconds; nil if it cannot.
  private static func youth(of status: FileStatus, _ file: File) -> Int64? {
    // A finer time is a whole second once in a thousand million.
    let isWhole = status.changed % 1_000_000_000 == 0
    let step = isWhole ? wholeStep : clockStep
    let (age, overflow) = RealTimeClock.nanoseconds().subtractingReportingOverflow(status.changed)
    // A time to come, of another machine's clock, is not waited for.
    guard !overflow, age < step, age > -step else { return nil }
    return !isWhole && hasFineTimes(file) ? nil : step - age
  }

  /// Whether a file that has been looked at gets a time of its own by the next write.
  private static func hasFineTimes(_ file: File) -> Bool {
    guard Process.kernelHasFineTimes, let fileSystem = try? file.fileSystem() else { return false }
    // Those of Linux 6.13 that have them are those that are trusted in other ways.
    return Generation.trustedFileSystems.contains(fileSystem)
  }
}
