import SystemPackage
package import WarmstartKernel
package import WarmstartTensorModel

// A file of a checkpoint must be regular, readable and not writable, and at rest. File systems take
// times from a clock that stands still for some milliseconds, so a file that changed within the
// clock's last step could change again and keep its time (git's index has the same problem). The
// daemon waits until the clock has moved, and examines the file again.

extension FileSet {
  /// Examines a file, which must be regular, readable and not writable.
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
    } catch Errno.permissionDenied {
      // Of a file that is open, only FUSE refuses this.
      throw Problem(
        .notAllowed,
        "the daemon may not examine the \(role): mount its file system with allow_other, or ask a "
          + "daemon of your own")
    } catch {
      throw Problem(.system, "the \(role) cannot be examined: \(error)")
    }
  }

  /// The coarsest step of the clock that file systems take times from, in nanoseconds: 100 Hz.
  ///
  /// Linux 6.13 and later give a file that was examined a finer time at its next change.
  private static let clockStep: Int64 = 10_000_000
  /// The step of file systems that keep whole seconds (ext4 with small inodes), doubled.
  private static let wholeStep: Int64 = 2_000_000_000
  /// How many clock steps the daemon waits for all files together to come to rest; chosen, not
  /// tuned.
  private static let patience: Int64 = 10
  /// How long the daemon sleeps at most before it calls `checkIn` again.
  private static let sliceMilliseconds = 50

  /// Waits until the next write would change a file's time; returns the file's status then.
  ///
  /// Throws `checkpointChanged` if the file does not come to rest.
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

  /// How long a file may still change without a new time, in nanoseconds; nil if it cannot.
  private static func youth(of status: FileStatus, _ file: File) -> Int64? {
    // One in 1,000,000,000 finer times is a whole second by chance.
    let isWhole = status.changed % 1_000_000_000 == 0
    let step = isWhole ? wholeStep : clockStep
    let (age, overflow) = RealTimeClock.nanoseconds().subtractingReportingOverflow(status.changed)
    // A time in the future comes from another machine's clock: waiting does not help.
    guard !overflow, age < step, age > -step else { return nil }
    return !isWhole && hasFineTimes(file) ? nil : step - age
  }

  /// Whether the next write gives an examined file a new time.
  private static func hasFineTimes(_ file: File) -> Bool {
    guard Process.kernelHasFineTimes, let fileSystem = try? file.fileSystem() else { return false }
    // The file systems with finer times in Linux 6.13 are those whose identities are trusted.
    return Generation.trustedFileSystems.contains(fileSystem)
  }
}
