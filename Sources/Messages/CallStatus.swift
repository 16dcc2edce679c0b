internal import CMessages
internal import CProtobufC
package import TensorModel

/// Why a call failed: what the daemon tells a client, and the client its caller.
package struct CallStatus: Error, Sendable, Hashable {
  /// At most this many problems travel with a status.
  package static let maximumProblems = 1000

  package var code: StatusCode
  /// The reason's word; from a newer daemon it may be one that `Reason` does not have.
  package var reason: String
  package var message: String
  /// What was found wrong, the deciding problem first.
  package var problems: [Problem]
  /// The number of problems found, of which `problems` holds the first.
  package var problemCount: Int

  /// Names and texts of all problems together; what does not fit is only counted.
  package static let maximumProblemByteCount = 512 << 10
  /// A message is cut beyond this.
  package static let maximumMessageByteCount = 2048

  /// A failure with one problem.
  package init(_ problem: Problem) {
    self.init([problem])
  }

  /// A failure with problems, at least one; the first decides code and reason.
  package init(_ problems: [Problem], total: Int? = nil) {
    code = problems[0].reason.code
    reason = problems[0].reason.rawValue
    message = CallStatus.capped(problems[0].message)
    self.problems = CallStatus.capped(problems)
    problemCount = max(total ?? 0, problems.count)
  }

  /// As many of the problems as a client takes in one frame: names come from requests and files.
  private static func capped(_ problems: [Problem]) -> [Problem] {
    var left = maximumProblemByteCount
    var capped: [Problem] = []
    for var problem in problems.prefix(maximumProblems) {
      problem.message = self.capped(problem.message)
      left -= problem.nameByteCount + problem.message.utf8.count
      // The first is told in any case, if need be without its names.
      if left < 0, capped.isEmpty { problem = Problem(problem.reason, problem.message) }
      guard left >= 0 || capped.isEmpty else { break }
      capped.append(problem)
    }
    return capped
  }

  private static func capped(_ text: String) -> String {
    guard text.utf8.count > maximumMessageByteCount else { return text }
    return String(decoding: text.utf8.prefix(maximumMessageByteCount), as: UTF8.self) + "…"
  }

  /// A failure without details.
  package init(_ reason: Reason, _ message: String) {
    self.init(Problem(reason, message))
  }
}

extension CallStatus {
  /// Unpacks the message `CallStatus`.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__call_status__unpack($0, $1, $2) })
    unsafe self.init(message.pointee)
  }

  private init(_ message: Warmstart__V1__CallStatus) {
    code = unsafe StatusCode(rawValue: message.code) ?? .unknown
    reason = unsafe text(message.reason)
    self.message = unsafe text(message.message)
    problemCount = unsafe Int(message.problem_count)
    problems = unsafe elements(message.problems, message.n_problems).compactMap { element in
      guard let problem = unsafe element?.pointee else { return nil }
      return unsafe Problem(
        Reason(rawValue: text(problem.reason)) ?? .system, text(problem.message),
        key: name(problem.key), variable: name(problem.variable), tensor: name(problem.tensor))
    }
  }
}

extension OutgoingFrame {
  /// Begins a frame whose body is the status.
  package mutating func begin(_ status: CallStatus, _ scratch: Scratch) {
    scratch.begin()
    var message = unsafe Warmstart__V1__CallStatus()
    unsafe warmstart__v1__call_status__init(&message)
    unsafe message.code = status.code.rawValue
    unsafe message.reason = scratch.text(status.reason)
    unsafe message.message = scratch.text(status.message)
    unsafe message.problem_count = UInt32(clamping: status.problemCount)
    unsafe message.n_problems = status.problems.count
    unsafe message.problems = scratch.messages(status.problems) { problem, detail in
      unsafe warmstart__v1__problem_detail__init(detail)
      unsafe detail.pointee.reason = scratch.text(problem.reason.rawValue)
      unsafe detail.pointee.message = scratch.text(problem.message)
      unsafe detail.pointee.key = scratch.bytes(problem.key?.bytes ?? [])
      unsafe detail.pointee.variable = scratch.bytes(problem.variable?.bytes ?? [])
      unsafe detail.pointee.tensor = scratch.bytes(problem.tensor?.bytes ?? [])
    }
    unsafe begin(&message.base)
  }
}

extension Problem {
  fileprivate var nameByteCount: Int {
    [key, variable, tensor].reduce(0) { $0 + ($1?.bytes.count ?? 0) }
  }
}

private func name(_ data: ProtobufCBinaryData) -> Name? {
  unsafe data.len == 0 ? nil : Name(bytes(data))
}

/// How much memory a message may unpack to.
enum MessageLimit {
  /// For what a daemon sends: chunks of 1 MiB, which unpack to a few times that.
  static let reply = 64 << 20
  /// For what a client sends: a variable with a short name takes 17 bytes and unpacks to ten times
  /// that, an empty message two bytes and sixty times.
  static func request(_ byteCount: Int) -> Int { (256 << 10) + byteCount * 16 }
}
