/// Collects problems as they are found, and describes only those that will be reported.
///
/// If one mistake explains many names that are not found, the first is described with the number of
/// the others.
struct ProblemCollector {
  /// The most problems that get hints, each of which takes a search through all names; chosen, not
  /// tuned.
  private static let maximumHints = 8

  /// A cause that was reported.
  private struct Said {
    let cause: Cause
    let reason: Reason
    /// The index of the problem that reports it.
    let place: Int
    /// The number of further problems that it explains.
    var more = 0
  }

  private var all: [Problem] = []
  /// The number of problems that were found, described or not.
  private(set) var total = 0
  private var hintCount = 0
  private var said: [Said] = []
  /// The ends of messages that are the same for many variables.
  private var saidOnce: Set<String> = []

  mutating func add(_ problem: @autoclosure () -> Problem, because cause: Cause? = nil) {
    if all.count < Problems.maximumCount {
      let problem = problem()
      if let cause { said.append(Said(cause: cause, reason: problem.reason, place: all.count)) }
      all.append(problem)
    }
    total += 1
  }

  /// Whether a cause that was reported before explains a problem; if so, the problem is only
  /// counted.
  mutating func repeats(_ reason: Reason, _ explains: (Cause) -> Bool) -> Bool {
    for index in said.indices where said[index].reason == reason && explains(said[index].cause) {
      said[index].more += 1
      total += 1
      return true
    }
    return false
  }

  /// Whether the next problem may have a hint; if so, counts the hint.
  mutating func takesHint() -> Bool {
    guard all.count < Problems.maximumCount, hintCount < Self.maximumHints else { return false }
    hintCount += 1
    return true
  }

  /// The end of a message that is said only of the first problem for which it holds; empty for
  /// later ones.
  mutating func once(_ end: String) -> String {
    all.count < Problems.maximumCount && saidOnce.insert(end).inserted ? end : ""
  }

  /// The end of a message with the names nearest to one that was not found; empty if none is near.
  mutating func suggestion(
    for name: Name, offering candidates: (inout NearestNames) -> Void
  ) -> String {
    takesHint()
      ? NearestNames.suggestion(for: name, separator: ScopeEnds.slash, offering: candidates) : ""
  }

  /// The problems that are described.
  var described: [Problem] {
    var described = all
    for cause in said where cause.more > 0 {
      let names = cause.more == 1 ? "another name" : "\(cause.more) more names"
      described[cause.place].message += "; the same holds for \(names)"
    }
    return described
  }

  /// Throws what was collected, if anything was.
  func check() throws(Problems) {
    if total > 0 { throw Problems(described, total: total) }
  }
}
