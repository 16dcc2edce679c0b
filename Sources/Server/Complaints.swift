import WarmstartKernel

/// Limits what the daemon writes to its log about clients: at most some 20 lines in 10 seconds,
/// whatever clients do.
struct Complaints {
  /// The most complaints in one period; chosen, not tuned.
  static let maximumCount = 20
  /// How long a period lasts, from its first complaint on.
  private static let periodMilliseconds = 10_000
  /// How many subjects are remembered; chosen, not tuned.
  private static let maximumSubjectCount = 64

  private var count = 0
  private var end = Deadline.never
  /// The subjects that were complained about, the latest last.
  private var subjects: [String] = []

  /// Counts a complaint.
  ///
  /// - Returns: The line for the log, or nil if this period already has its most lines.
  mutating func add(_ complaint: String) -> String? {
    var earlier = ""
    if end.hasPassed {
      let suppressedCount = count - Complaints.maximumCount
      if suppressedCount > 0 {
        earlier =
          " (\(suppressedCount) similar message\(suppressedCount == 1 ? "" : "s") suppressed)"
      }
      count = 0
    }
    if count == 0 { end = .after(milliseconds: Complaints.periodMilliseconds) }
    count += 1
    guard count <= Complaints.maximumCount else { return nil }
    let isLast = count == Complaints.maximumCount
    let seconds = Complaints.periodMilliseconds / 1000
    return complaint + earlier
      + (isLast ? "; suppressing similar messages for up to \(seconds) s" : "")
  }

  /// Counts a complaint about a subject, unless there was one about it already.
  mutating func add(_ complaint: String, about subject: String) -> String? {
    guard !subjects.contains(subject), let text = add(complaint) else { return nil }
    subjects.append(subject)
    if subjects.count > Complaints.maximumSubjectCount { subjects.removeFirst() }
    return text
  }
}
