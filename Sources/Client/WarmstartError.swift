public import SystemPackage
import WarmstartKernel
import WarmstartLocate
import WarmstartMessages
public import WarmstartTensorModel
import WarmstartWire

/// Why a request to Warmstart failed.
public struct WarmstartError: Error, Sendable, Hashable {
  /// gRPC's code: what kind of failure it is.
  public let code: StatusCode
  /// The word that says which failure it is, `TENSOR_NOT_FOUND`; a newer daemon may have new ones.
  public let reason: String
  /// What is wrong, for people.
  public let message: String
  /// The problems that were found, the deciding one first; at most a thousand, of a map a hundred, and
  /// one may stand for several of one cause.
  public let problems: [Problem]
  /// The number of problems that were found, described in `problems` or not.
  public let problemCount: Int
  /// How long to wait before the same call may succeed; nil if waiting does not help.
  public let retryDelay: Duration?
  /// What the system answered, if that was the cause.
  public let underlyingError: Errno?
  /// The checkpoint that the daemon says this of, by its path as TensorFlow reports it.
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

  init(_ reason: Reason, _ message: String, underlying: Errno? = nil) {
    code = reason.code
    self.reason = reason.rawValue
    self.message = message
    problems = [Problem(reason, message)]
    problemCount = 1
    retryDelay = nil
    underlyingError = underlying
  }

  init(_ error: LocateError) {
    let reason: Reason =
      switch error.kind {
      case .checkpointNotFound: .checkpointNotFound
      case .checkpointStateInvalid: .checkpointStateInvalid
      case .notAllowed: .notAllowed
      case .system: .system
      }
    self.init(reason, "\(error)")
  }
}

extension WarmstartError {
  /// What a call about a checkpoint throws: the error, with the path if the daemon said it.
  static func calling(
    about path: String, _ body: () throws(WarmstartError) -> Int
  ) throws(WarmstartError) -> Int {
    do {
      return try body()
    } catch {
      var error = error
      if error.reason != Reason.connection.rawValue { error.checkpoint = path }
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
