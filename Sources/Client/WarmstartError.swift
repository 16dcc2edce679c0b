public import SystemPackage
import WarmstartKernel
import WarmstartLocate
import WarmstartMessages
public import WarmstartTensorModel
import WarmstartWire

/// Why a request to Warmstart failed: the one error of this package.
///
/// Compare `reason`, and show `description` or `message` to people:
///
/// ```swift
/// do {
///   let resolved = try client.resolve(path, assigning: map, to: variables)
/// } catch let error where error.reason == .tensorNotFound {
///   print(error.message)
/// }
/// ```
///
/// Swift knows the type of `error` only if all calls of the `do` throw this type, and not within a
/// closure. Elsewhere write `catch let error as WarmstartError where …`.
public struct WarmstartError: Error, Sendable, Hashable {
  /// Why a call failed, in one word that programs compare.
  public typealias Reason = WarmstartTensorModel.Reason

  /// The kind of failure, as gRPC counts them: each reason belongs to one code.
  public let code: StatusCode
  /// Why the call failed; a newer daemon may have reasons that this version has no constant for.
  public let reason: Reason
  /// What is wrong, where, and what was expected, in a sentence for people; it may end with a hint.
  public let message: String
  /// The problems that were found, with the one that decided `reason` first.
  ///
  /// At most 1,000 are described, and of a map at most 100; one of them may stand for several
  /// problems that have the same cause.
  public let problems: [Problem]
  /// The number of problems that were found, described in `problems` or not.
  public let problemCount: Int
  /// How long to wait before the same call may succeed; nil if waiting does not help.
  public let retryDelay: Duration?
  /// The error of the system call that failed in this process; nil if none did.
  public let underlyingError: Errno?
  /// The path of the checkpoint that the daemon refused, as TensorFlow reports it; nil if the error
  /// is not about a checkpoint, or if `message` names the path already.
  public private(set) var checkpoint: String?

  init(_ status: CallStatus) {
    code = status.code
    reason = status.reason
    message = status.message
    problems = status.problems
    problemCount = status.problemCount
    retryDelay = status.retryMilliseconds.map { .milliseconds($0) }
    underlyingError = nil
  }

  init(_ problem: Problem, underlying: Errno? = nil) {
    code = problem.reason.code
    reason = problem.reason
    message = problem.message
    problems = [problem]
    problemCount = 1
    retryDelay = nil
    underlyingError = underlying
  }

  init(_ reason: Reason, _ message: String, underlying: Errno? = nil) {
    self.init(Problem(reason, message), underlying: underlying)
  }

  static func invalid(alignment: Int) -> WarmstartError {
    WarmstartError(
      .invalidRequest,
      "alignment \(alignment), expected a power of two up to \(Alignment.maximum), or 0")
  }

  init(_ error: LocateError) {
    let reason: Reason =
      switch error.kind {
      case .checkpointNotFound: .checkpointNotFound
      case .checkpointStateInvalid: .checkpointStateInvalid
      case .corrupt: .corrupt
      case .notAllowed: .notAllowed
      case .system: .system
      }
    self.init(reason, "\(error)")
  }
}

extension WarmstartError {
  /// Runs a call about a checkpoint, and adds the path to an error that came from the daemon.
  static func calling(
    about path: String, _ body: () throws(WarmstartError) -> Int
  ) throws(WarmstartError) -> Int {
    do {
      return try body()
    } catch {
      var error = error
      // Messages about a published checkpoint begin with its name.
      if error.reason != .connection, !error.message.hasPrefix(path) { error.checkpoint = path }
      throw error
    }
  }
}

extension WarmstartError: CustomStringConvertible {
  /// The error as `warmstartctl` prints it: `NOT_FOUND (TENSOR_NOT_FOUND): models/bert: tensor …`.
  public var description: String {
    "\(code.name) (\(reason)): \(checkpoint.map { "\($0): " } ?? "")\(message)"
  }
}
