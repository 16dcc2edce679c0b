/// Collects problems as they are found, and describes no more of them than will be reported.
///
/// Where one mistake is behind many names that are not found, the first is described, and how many more
/// there are.
struct ProblemCollector {
  /// The most problems that get hints, which cost a look at every name; chosen, not tuned.
  private static let maximumHints = 8

  /// A cause that was said.
  private struct Said {
    let cause: Cause
    let reason: Reason
    /// The place of the problem that says it.
    let place: Int
    /// How many more problems it is behind.
    var more = 0
  }

  private var all: [Problem] = []
  /// How many problems were found: those that are described, those beyond, and those of a cause that
  /// was said before.
  private(set) var total = 0
  private var hintCount = 0
  private var said: [Said] = []

  mutating func add(_ problem: @autoclosure () -> Problem, because cause: Cause? = nil) {
    if all.count < Problems.maximumCount {
      let problem = problem()
      if let cause { said.append(Said(cause: cause, reason: problem.reason, place: all.count)) }
      all.append(problem)
    }
    total += 1
  }

  /// Whether a cause that was said explains a problem, which is then only counted.
  mutating func repeats(_ reason: Reason, _ explains: (Cause) -> Bool) -> Bool {
    for index in said.indices where said[index].reason == reason && explains(said[index].cause) {
      said[index].more += 1
      total += 1
      return true
    }
    return false
  }

  /// Whether the next problem may have a hint; counts it.
  mutating func takesHint() -> Bool {
    guard all.count < Problems.maximumCount, hintCount < Self.maximumHints else { return false }
    hintCount += 1
    return true
  }

  /// The names nearest to one that was not found, worded to end a message, or nothing.
  mutating func suggestion(
    for name: Name, offering candidates: (inout NearestNames) -> Void
  ) -> String {
    takesHint() ? NearestNames.suggestion(for: name, offering: candidates) : ""
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
