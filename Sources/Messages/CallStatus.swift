internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

/// The failure of a call, as the daemon reports it to a client.
///
/// On the wire it is a `google.rpc.Status`, whose details are an `ErrorInfo` with the reason,
/// `Problems`, and a `RetryInfo` if the call may succeed later.
package struct CallStatus: Error, Sendable, Hashable {
  /// At most this many problems travel with a status.
  package static let maximumProblems = 1000

  package var code: StatusCode
  /// Why the call failed, in one word; a newer daemon may have words without a constant.
  package var reason: Reason
  package var message: String
  /// The problems that were found, with the one that decided `reason` first.
  package var problems: [Problem]
  /// The number of problems that were found; `problems` has the first, and one of them may stand
  /// for several that have the same cause.
  package var problemCount: Int
  /// How long to wait before the same call may succeed; nil if waiting does not help.
  package var retryMilliseconds: Int?

  /// The most bytes of the names and texts of all problems; problems beyond it are only counted.
  package static let maximumProblemByteCount = 512 << 10
  /// The most bytes of a message; a longer one is cut.
  package static let maximumMessageByteCount = 2048

  /// A failure with one problem.
  package init(_ problem: Problem) {
    self.init([problem])
  }

  /// A failure with problems, at least one; the first decides code and reason.
  package init(_ problems: [Problem], total: Int? = nil) {
    code = problems[0].reason.code
    reason = problems[0].reason
    message = CallStatus.capped(problems[0].message)
    self.problems = CallStatus.capped(problems)
    problemCount = max(total ?? 0, problems.count)
    retryMilliseconds = problems[0].reason.retryMilliseconds
  }

  /// The first problems, as many as fit in one frame: their names come from requests and files.
  static func capped(_ problems: [Problem]) -> [Problem] {
    var left = maximumProblemByteCount
    var capped: [Problem] = []
    for var problem in problems.prefix(maximumProblems) {
      problem.message = self.capped(problem.message)
      left -= problem.nameByteCount + problem.message.utf8.count
      // The first problem is always described, if need be without its names.
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
  /// The domain of the reasons, in `ErrorInfo`.
  fileprivate static let domain = "warmstart"

  /// The details of a status, by the names of their messages.
  fileprivate enum Detail: String {
    case errorInfo = "google.rpc.ErrorInfo"
    case problems = "warmstart.v1.Problems"
    case retryInfo = "google.rpc.RetryInfo"

    var typeURL: [UInt8] { Array("type.googleapis.com/\(rawValue)".utf8) }

    init?(typeURL: ArraySlice<UInt8>) {
      let name = typeURL.split(separator: UInt8(ascii: "/")).last ?? []
      self.init(rawValue: String(decoding: name, as: UTF8.self))
    }
  }

  /// Unpacks a `google.rpc.Status`; unknown details are skipped.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    code = .unknown
    reason = Reason(rawValue: "")
    (message, problems, problemCount) = ("", [], 0)
    let message = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    var reader = FieldReader(message.span)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)):
        code = StatusCode(rawValue: Int32(truncatingIfNeeded: value)) ?? .unknown
        // A call that failed is never OK.
        if code == .ok { code = .unknown }
      case (2, .bytes(let range)):
        self.message = String(decoding: message[range], as: UTF8.self)
      case (3, .bytes(let range)): try readDetail(message[range], scratch)
      default: break
      }
    }
    // If the daemon sent no reason, its code stands for one.
    if reason.rawValue.isEmpty { reason = Reason(rawValue: code.name) }
  }

  /// Reads a `google.protobuf.Any`.
  private mutating func readDetail(
    _ bytes: ArraySlice<UInt8>, _ scratch: Scratch
  ) throws(MessageError) {
    var reader = FieldReader(bytes.span)
    var detail: Detail?
    var contents = bytes[bytes.endIndex...]
    while let field = try reader.next() {
      guard case .bytes(let range) = field.value else { continue }
      let place = bytes.startIndex + range.lowerBound..<bytes.startIndex + range.upperBound
      if field.number == 1 { detail = Detail(typeURL: bytes[place]) }
      if field.number == 2 { contents = bytes[place] }
    }
    switch detail {
    case .errorInfo: try readErrorInfo(contents)
    case .problems: try readProblems(Array(contents), scratch)
    case .retryInfo: try readRetryInfo(contents)
    case nil: break
    }
  }

  private mutating func readErrorInfo(_ bytes: ArraySlice<UInt8>) throws(MessageError) {
    var reader = FieldReader(bytes.span, at: bytes.startIndex)
    while let field = try reader.next() {
      if case (1, .bytes(let range)) = (field.number, field.value) {
        reason = Reason(rawValue: String(decoding: bytes[range], as: UTF8.self))
      }
    }
  }

  private mutating func readRetryInfo(_ bytes: ArraySlice<UInt8>) throws(MessageError) {
    var reader = FieldReader(bytes.span, at: bytes.startIndex)
    while let field = try reader.next() {
      guard case (1, .bytes(let range)) = (field.number, field.value) else { continue }
      // A google.protobuf.Duration: seconds and nanoseconds.
      var duration = FieldReader(bytes[range].span)
      var (seconds, nanoseconds) = (0, 0)
      while let part = try duration.next() {
        guard case .varint(let value) = part.value else { continue }
        let number = min(Int(clamping: value), 999_999_999)
        if part.number == 1 { seconds = number }
        if part.number == 2 { nanoseconds = number }
      }
      retryMilliseconds = seconds * 1000 + nanoseconds / 1_000_000
    }
  }

  private mutating func readProblems(
    _ bytes: [UInt8], _ scratch: Scratch
  ) throws(MessageError) {
    let message = unsafe try scratch.unpack(
      bytes.span.bytes, limit: MessageLimit.reply,
      { unsafe warmstart__v1__problems__unpack($0, $1, $2) })
    problemCount = unsafe Int(message.pointee.problem_count)
    problems = unsafe [Problem](message.pointee.problems, message.pointee.n_problems)
  }
}

extension FieldWriter {
  /// Begins a frame whose body is the status.
  package mutating func begin(_ status: CallStatus, _ scratch: Scratch) {
    begin()
    if let milliseconds = status.retryMilliseconds {
      prepend(.retryInfo) { frame in
        frame.prepend(field: 1) { frame in
          frame.prepend(field: 2, UInt64(milliseconds % 1000 * 1_000_000))
          frame.prepend(field: 1, UInt64(milliseconds / 1000))
        }
      }
    }
    prepend(.problems) { frame in
      scratch.begin()
      unsafe frame.prepend(&status.problemsMessage(scratch).pointee.base)
    }
    prepend(.errorInfo) { frame in
      frame.prepend(field: 2, text: CallStatus.domain)
      frame.prepend(field: 1, text: status.reason.rawValue)
    }
    prepend(field: 2, text: status.message)
    prepend(field: 1, UInt64(status.code.rawValue))
  }

  /// Puts a detail of a status in front, a `google.protobuf.Any`.
  private mutating func prepend(
    _ detail: CallStatus.Detail, _ contents: (inout FieldWriter) -> Void
  ) {
    prepend(field: 3) { frame in
      frame.prepend(field: 2, message: contents)
      let url = detail.typeURL
      frame.prepend(field: 1, url.span)
    }
  }

  private mutating func prepend(field: UInt64, text: String) {
    let bytes = Array(text.utf8)
    prepend(field: field, bytes.span)
  }
}

extension CallStatus {
  fileprivate func problemsMessage(
    _ scratch: Scratch
  ) -> UnsafeMutablePointer<Warmstart__V1__Problems> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Problems.self)
    unsafe warmstart__v1__problems__init(message)
    unsafe message.pointee.problem_count = UInt32(clamping: problemCount)
    unsafe message.pointee.n_problems = problems.count
    unsafe message.pointee.problems = scratch.messages(problems) { unsafe $0.fill($1, scratch) }
    return unsafe message
  }
}

extension Reason {
  /// How long to wait before a repeated call may succeed; chosen, not tuned.
  fileprivate var retryMilliseconds: Int? {
    switch self {
    // Another client may give back memory or files.
    case .quota, .budget: 1000
    // The next daemon answers on a new connection.
    case .draining: 100
    default: nil
    }
  }
}

extension [Problem] {
  /// Reads the problems of a message.
  init(_ start: UnsafeMutablePointer<UnsafeMutablePointer<Warmstart__V1__Problem>?>?, _ count: Int)
  {
    self = unsafe elements(start, count).compactMap { element in
      guard let problem = unsafe element?.pointee else { return nil }
      return unsafe Problem(
        Reason(rawValue: text(problem.reason)), text(problem.message),
        key: name(problem.key), variable: name(problem.variable), tensor: name(problem.tensor))
    }
  }
}

extension Problem {
  func fill(_ message: UnsafeMutablePointer<Warmstart__V1__Problem>, _ scratch: Scratch) {
    unsafe warmstart__v1__problem__init(message)
    unsafe message.pointee.reason = scratch.text(reason.rawValue)
    unsafe message.pointee.message = scratch.text(self.message)
    unsafe message.pointee.key = scratch.bytes(key?.bytes ?? [])
    unsafe message.pointee.variable = scratch.bytes(variable?.bytes ?? [])
    unsafe message.pointee.tensor = scratch.bytes(tensor?.bytes ?? [])
  }

  fileprivate var nameByteCount: Int {
    [key, variable, tensor].reduce(0) { $0 + ($1?.bytes.count ?? 0) }
  }
}

private func name(_ data: ProtobufCBinaryData) -> Name? {
  unsafe data.len == 0 ? nil : Name(bytes(data))
}

/// The most memory that a message may unpack to.
enum MessageLimit {
  /// For what a daemon sends: chunks of 1 MiB, which unpack to a few times that.
  static let reply = 64 << 20
  /// For what a client sends: a variable with a short name takes 17 bytes and unpacks to ten times
  /// that, an empty message two bytes and sixty times.
  static func request(_ byteCount: Int) -> Int { (256 << 10) + byteCount * 16 }
}
