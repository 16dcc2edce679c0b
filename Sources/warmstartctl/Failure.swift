import ArgumentParser
import SystemPackage
import WarmstartClient
import WarmstartTensorModel

/// Why the command exits with 1: an error from the daemon or the client, or a fault in a file.
struct Failure: Error {
  let code: StatusCode
  let reason: Reason
  let message: String
  /// The path of the checkpoint at fault, unless the message names it.
  let checkpoint: String?
  /// The problems, the deciding one first; some may be missing, and one may stand for several.
  let problems: [Problem]
  /// The number of problems that were found, including those that `problems` lacks.
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

  /// Reports a file in which `count` problems were found; `problems` has at least one of them.
  init(_ problems: [Problem], count: Int) {
    code = problems[0].reason.code
    reason = problems[0].reason
    message = problems[0].message
    checkpoint = nil
    self.problems = problems
    problemCount = count
  }

  /// Reports at least one problem of a checkpoint.
  init(_ problems: [Problem], about path: String) {
    code = problems[0].reason.code
    reason = problems[0].reason
    message = problems[0].message
    checkpoint = path
    self.problems = problems
    problemCount = problems.count
  }

  /// Reports a system call on a file that failed.
  init(_ action: String, _ path: String, _ error: Errno) {
    let reason: Reason =
      switch error {
      case .permissionDenied, .notPermitted, .readOnlyFileSystem: .notAllowed
      case .noSuchFileOrDirectory, .notDirectory, .isDirectory: .invalidRequest
      default: .system
      }
    self.init(reason, "cannot \(action) \(path): \(error)")
  }

  /// Runs a command's body; prints its failure as text or JSON, and exits with 1.
  static func reporting(asJSON: Bool, _ body: () throws(Failure) -> Void) throws {
    do throws(Failure) {
      try body()
    } catch {
      Output.complain(asJSON ? error.json.line : error.text)
      throw ExitCode.failure
    }
  }

  /// The most further problems that people see; scripts get every problem in `problems`.
  ///
  /// Chosen, not tuned.
  private static let shownProblems = 20

  /// The failure for people.
  var text: String {
    let place = checkpoint.map { "\($0): " } ?? ""
    var text =
      "warmstartctl: \(code.name) (\(reason.rawValue.printable)): "
      + "\((place + Failure.withOptions(message)).printable)\n"
    let further = problems.dropFirst().prefix(Failure.shownProblems)
    for problem in further { text += "  \(Failure.withOptions(problem.message).printable)\n" }
    // A message that was shown may stand for several problems, so the line gives the total.
    if problemCount > 1 + further.count { text += "  … \(problemCount) problems in all\n" }
    return text
  }

  /// A message of the daemon, which names options by words, with the options of this command:
  /// `--skip-missing`.
  private static func withOptions(_ message: String) -> String {
    let parts = message.split(separator: "'", omittingEmptySubsequences: false)
    var text = String(parts[0])
    var next = 1
    while next < parts.count {
      if text.hasSuffix(" the option "), next + 1 < parts.count {
        text += "--" + parts[next].split(separator: " ").joined(separator: "-") + parts[next + 1]
        next += 2
      } else {
        text += "'" + parts[next]
        next += 1
      }
    }
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
  init(_ problem: Problem) {
    var fields: [(String, JSON)] = [
      ("reason", .text(problem.reason.rawValue)), ("message", .text(problem.message)),
    ]
    if let key = problem.key { fields.append(("key", .name(key))) }
    if let variable = problem.variable { fields.append(("variable", .name(variable))) }
    if let tensor = problem.tensor { fields.append(("tensor", .name(tensor))) }
    self = .object(fields)
  }
}
