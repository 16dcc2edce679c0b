import ArgumentParser
import SystemPackage
import WarmstartClient
import WarmstartTensorModel

/// Why the command ends with 1: what the daemon or the client said, or what is wrong with a file.
struct Failure: Error {
  let code: StatusCode
  let reason: Reason
  let message: String
  /// The path of the checkpoint that this is about, unless the message says it.
  let checkpoint: String?
  /// What is wrong, the deciding problem first; perhaps not all, and one for several of one cause.
  let problems: [Problem]
  /// The number of problems found, described in `problems` or not.
  let problemCount: Int
  /// How long to wait before the same command may succeed; nil if waiting does not help.
  private(set) var retryDelay: Duration?

  init(_ error: WarmstartError) {
    code = error.code
    reason = error.reason
    message = error.message
    checkpoint = error.checkpoint
    problems = error.problems
    problemCount = error.problemCount
    retryDelay = error.retryDelay
  }

  init(_ reason: Reason, _ message: String) {
    code = reason.code
    self.reason = reason
    self.message = message
    checkpoint = nil
    problems = [Problem(reason, message)]
    problemCount = 1
  }

  /// What is wrong with a file, of which `count` problems were found and at least one is given.
  init(_ problems: [Problem], count: Int) {
    code = problems[0].reason.code
    reason = problems[0].reason
    message = problems[0].message
    checkpoint = nil
    self.problems = problems
    problemCount = count
  }

  /// What is wrong with a checkpoint; at least one problem.
  init(_ problems: [Problem], about path: String) {
    code = problems[0].reason.code
    reason = problems[0].reason
    message = problems[0].message
    checkpoint = path
    self.problems = problems
    problemCount = problems.count
  }

  /// What the system refused to do with a file.
  init(_ action: String, _ path: String, _ error: Errno) {
    let reason: Reason =
      switch error {
      case .permissionDenied, .notPermitted, .readOnlyFileSystem: .notAllowed
      case .noSuchFileOrDirectory, .notDirectory, .isDirectory: .invalidRequest
      default: .system
      }
    self.init(reason, "cannot \(action) \(path): \(error)")
  }

  /// Runs a command's body; says why it failed in the form that was asked for, and exits with 1.
  static func reporting(asJSON: Bool, _ body: () throws(Failure) -> Void) throws {
    do throws(Failure) {
      try body()
    } catch {
      Output.complain(asJSON ? error.json.line : error.text)
      throw ExitCode.failure
    }
  }

  /// At most this many further problems are shown to people; scripts get all that are described.
  ///
  /// Chosen, not tuned.
  private static let shownProblems = 20

  /// The failure for people.
  var text: String {
    let place = checkpoint.map { "\($0): " } ?? ""
    var text =
      "warmstartctl: \(code.name) (\(reason.rawValue.printable)): \((place + message).printable)\n"
    let further = problems.dropFirst().prefix(Failure.shownProblems)
    for problem in further { text += "  \(problem.message.printable)\n" }
    // Of those not shown, a message may have counted some: it says of how many names its cause holds.
    if problemCount > 1 + further.count { text += "  … \(problemCount) problems in all\n" }
    return text
  }

  /// The failure for scripts.
  var json: JSON {
    var fields: [(String, JSON)] = [
      ("code", .text(code.name)), ("reason", .text(reason.rawValue)), ("message", .text(message)),
    ]
    if let checkpoint { fields.append(("checkpoint", .text(checkpoint))) }
    if let retryDelay {
      fields.append(("retry_ms", .number(Int(retryDelay / .milliseconds(1)))))
    }
    fields.append(("problem_count", .number(problemCount)))
    fields.append(("details", .list(problems.map(JSON.init))))
    return .object([("error", .object(fields))])
  }
}

extension JSON {
  fileprivate init(_ problem: Problem) {
    var fields: [(String, JSON)] = [
      ("reason", .text(problem.reason.rawValue)), ("message", .text(problem.message)),
    ]
    if let key = problem.key { fields.append(("key", .name(key))) }
    if let variable = problem.variable { fields.append(("variable", .name(variable))) }
    if let tensor = problem.tensor { fields.append(("tensor", .name(tensor))) }
    self = .object(fields)
  }
}
