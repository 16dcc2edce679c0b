import WarmstartKernel
import WarmstartSystemd

/// Limits what clients can make the daemon log: a few events of each kind in a period, and one
/// about the same subject in a longer one.
///
/// So a client that floods the log with one kind of event hides no other kind. Left out events are
/// counted, and the count is logged at the end of the period.
struct Complaints {
  /// The most events of one kind in a period; chosen, not tuned.
  static let maximumCount = 10
  /// How long a period lasts, from its first event on; chosen, not tuned.
  static let periodMilliseconds = 10_000
  /// How long only one event about a subject is logged; chosen, not tuned.
  static let subjectMilliseconds = 600_000
  /// How many subjects are remembered; chosen, not tuned.
  private static let maximumSubjectCount = 64

  /// What was left out of the log.
  struct Suppressed {
    let kind: LogEvent.Kind
    let count: Int
  }

  /// The events of one kind, or about one subject of that kind, in a period.
  private struct Tally {
    let kind: LogEvent.Kind
    let subject: String?
    let end: Deadline
    var count = 0
    var suppressedCount = 0
  }

  /// The latest last.
  private var tallies: [Tally] = []

  /// Counts an event; returns whether to log it.
  ///
  /// - Parameter subject: What the event is about, if the next one would say the same.
  mutating func admit(_ kind: LogEvent.Kind, about subject: String? = nil) -> Bool {
    if let subject, !count(kind, subject, atMost: 1, for: Complaints.subjectMilliseconds) {
      return false
    }
    return count(kind, nil, atMost: Complaints.maximumCount, for: Complaints.periodMilliseconds)
  }

  private mutating func count(
    _ kind: LogEvent.Kind, _ subject: String?, atMost maximumCount: Int, for milliseconds: Int
  ) -> Bool {
    let isMeant = { (tally: Tally) in
      tally.kind == kind && tally.subject == subject && !tally.end.hasPassed
    }
    if !tallies.contains(where: isMeant) {
      tallies.append(Tally(kind: kind, subject: subject, end: .after(milliseconds: milliseconds)))
      forgetSubjects()
    }
    guard let position = tallies.firstIndex(where: isMeant) else { return false }
    guard tallies[position].count < maximumCount else {
      tallies[position].suppressedCount += 1
      return false
    }
    tallies[position].count += 1
    return true
  }

  /// Forgets the oldest subject if there are too many; what was left out about it counts for
  /// another tally of its kind.
  private mutating func forgetSubjects() {
    let subjects = tallies.indices.filter { tallies[$0].subject != nil }
    guard subjects.count > Complaints.maximumSubjectCount else { return }
    let oldest = tallies.remove(at: subjects[0])
    guard let other = tallies.lastIndex(where: { $0.kind == oldest.kind }) else { return }
    tallies[other].suppressedCount += oldest.suppressedCount
  }

  /// When something that was left out is to be reported; `never` if nothing was.
  var due: Deadline {
    var due = Deadline.never
    for tally in tallies where tally.suppressedCount > 0 { due = min(due, tally.end) }
    return due
  }

  /// Ends the periods that are over; returns what was left out in them.
  mutating func takeSuppressed() -> [Suppressed] {
    var suppressed: [Suppressed] = []
    tallies.removeAll { tally in
      guard tally.end.hasPassed else { return false }
      guard tally.suppressedCount > 0 else { return true }
      suppressed.append(Suppressed(kind: tally.kind, count: tally.suppressedCount))
      return true
    }
    return suppressed
  }
}
