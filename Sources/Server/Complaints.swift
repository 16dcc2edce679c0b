import WarmstartKernel

/// What an operator is told about clients: as much as somebody reads, whatever clients do.
struct Complaints {
  /// So many in a row are told; chosen, not tuned.
  static let maximumCount = 20
  /// How long those beyond are only counted.
  private static let pauseMilliseconds = 10_000

  /// Subjects of so many complaints are remembered; chosen, not tuned.
  private static let maximumSubjectCount = 64

  private var count = 0
  private var end = Deadline.never
  /// What complaints that are told only once were about, the latest last.
  private var subjects: [String] = []

  /// Counts another one; returns what to tell of it, if anything.
  mutating func add(_ complaint: String) -> String? {
    var earlier = ""
    if end.hasPassed {
      let untold = count - Complaints.maximumCount
      if untold > 0 { earlier = " (after \(untold) of which nothing was told)" }
      count = 0
    }
    if count == 0 { end = .after(milliseconds: Complaints.pauseMilliseconds) }
    count += 1
    guard count <= Complaints.maximumCount else { return nil }
    let isLast = count == Complaints.maximumCount
    return complaint + earlier + (isLast ? "; nothing is told of others for some seconds" : "")
  }

  /// Counts one about something, which is told once and not each time that somebody meets it.
  mutating func add(_ complaint: String, about subject: String) -> String? {
    guard !subjects.contains(subject), let text = add(complaint) else { return nil }
    subjects.append(subject)
    if subjects.count > Complaints.maximumSubjectCount { subjects.removeFirst() }
    return text
  }
}
