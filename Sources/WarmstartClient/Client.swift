import Kernel
public import Messages
import SystemPackage
import TensorModel
import Wire

/// A trainer's way to the daemon of its machine.
///
/// Connects when the first call needs it, and again by itself when the daemon was restarted: what was
/// mapped stays mapped, and checkpoints that were opened stay usable. Several threads may use one
/// client; their calls take turns.
public final class Client: Sendable {
  private struct State {
    var session: Session?
    var sessionCount = 0
  }

  /// Where the daemon listens.
  public let socketPath: String
  private let label: String
  // Invariant: the session, if there is one, is between calls. The lock is held during a call, since
  // calls of one connection are answered one after the other anyway.
  private let state = Monitor(State())

  /// Makes a client; `label` is what the daemon's status calls it.
  ///
  /// Without a path the client takes `$WARMSTART_SOCKET`, else `/run/warmstart/warmstart.sock`, else
  /// the socket in the user's runtime directory. Nothing is connected yet.
  public init(socket path: String? = nil, label: String = "") {
    socketPath = path ?? SocketPath.standard
    self.label = label
  }

  /// Opens a checkpoint as TensorFlow finds it and takes a lease on it.
  ///
  /// The path is a directory with a `checkpoint` file or a prefix; its files are opened with this
  /// process's rights. Waits while the daemon reads the index. Throws CHECKPOINT_NOT_FOUND,
  /// CHECKPOINT_STATE_INVALID, NOT_ALLOWED, what the daemon finds wrong with the index, or
  /// CONNECTION.
  public func open(
    _ path: String, timeout: Duration? = nil
  ) throws(WarmstartError) -> Checkpoint {
    try Checkpoint(path, self, until: Deadline(timeout))
  }

  /// Opens a checkpoint to list its tensors, as above: its data files need not be readable.
  package func openToList(
    _ path: String, timeout: Duration? = nil
  ) throws(WarmstartError) -> Checkpoint {
    try Checkpoint(path, self, until: Deadline(timeout), needsData: false)
  }

  /// What the daemon holds, and for whom of this user.
  public func status(timeout: Duration? = nil) throws(WarmstartError) -> StatusReport {
    var report = StatusReport()
    try call(.status, until: Deadline(timeout)) { _ in
      PreparedCall { frame, _ in frame.beginEmpty() }
    } each: { bytes, scratch, _ throws(MessageError) in
      report = try StatusReport(unpacking: bytes, scratch)
    }
    return report
  }

  /// What a call sends on a given session.
  struct PreparedCall {
    var files: [File] = []
    var features: [String] = []
    let begin: (inout OutgoingFrame, Scratch) -> Void

    init(
      files: [File] = [], features: [String] = [],
      _ begin: @escaping (inout OutgoingFrame, Scratch) -> Void
    ) {
      self.files = files
      self.features = features
      self.begin = begin
    }
  }

  /// Makes a call, once more on a new connection if this one turns out to be lost.
  ///
  /// Every call can be made twice with the same effect. `prepare` runs for each try and must forget
  /// what `each` gathered before. Returns the number of the session that answered.
  @discardableResult
  func call(
    _ method: Method, until deadline: Deadline,
    _ prepare: (Session) throws(SessionError) -> PreparedCall,
    each: (RawSpan, Scratch, [File]) throws(MessageError) -> Void
  ) throws(WarmstartError) -> Int {
    try state.withLock { state throws(WarmstartError) in
      var isRetry = false
      while true {
        do throws(SessionError) {
          let session = try connected(&state)
          let call = try prepare(session)
          try session.call(
            method, files: call.files, features: call.features, until: deadline, call.begin, each)
          return session.number
        } catch {
          if case .failed(let status) = error { throw WarmstartError(status) }
          state.session = nil
          guard error.mayRetry, !isRetry, !deadline.hasPassed else {
            throw WarmstartError(error, deadline)
          }
          isRetry = true
        }
      }
    }
  }

  /// Runs the body on the session of a number if that is still the one in use.
  func onSession(_ number: Int, _ body: (Session) throws(SessionError) -> Void) {
    state.withLock { state in
      guard let session = state.session, session.number == number else { return }
      do throws(SessionError) {
        try body(session)
      } catch {
        // What a lost connection held is given back by the daemon.
        state.session = nil
      }
    }
  }

  private func connected(_ state: inout State) throws(SessionError) -> Session {
    if let session = state.session { return session }
    state.sessionCount += 1
    let session = try Session(socketPath, number: state.sessionCount, label: label)
    state.session = session
    return session
  }
}

extension SessionError {
  /// Whether another connection may do better.
  fileprivate var mayRetry: Bool {
    switch self {
    case .lost(.tooLong): false
    case .lost: true
    case .refused(let status): status.reason == Reason.draining.rawValue
    case .cannotConnect, .failed, .deadlinePassed: false
    }
  }
}

extension WarmstartError {
  fileprivate init(_ error: SessionError, _ deadline: Deadline) {
    switch error {
    case .failed(let status), .refused(let status): self.init(status)
    case .deadlinePassed:
      self.init(.deadline, "the daemon did not answer in time")
    case .cannotConnect("", let errno):
      self.init(.connection, "the path of the daemon's socket is empty", underlying: errno)
    case .cannotConnect(let path, let errno)
    where errno == .noSuchFileOrDirectory || errno == .connectionRefused:
      let unit = SocketPath.group(of: path) == nil ? "warmstartd" : "its socket unit"
      self.init(
        .connection, "no daemon listens at \(path) (is \(unit) started?)", underlying: errno)
    case .cannotConnect(let path, .permissionDenied):
      let group = SocketPath.group(of: path).map { " (is it in the group \($0)?)" } ?? ""
      self.init(
        .notAllowed, "this user may not connect to \(path)\(group)", underlying: .permissionDenied)
    case .cannotConnect(let path, let errno):
      self.init(.connection, "cannot connect to \(path): \(errno)", underlying: errno)
    case .lost(.tooLong(let count, let limit)):
      self.init(
        .invalidRequest,
        "the request has \(count) bytes, expected at most \(limit) (some 150,000 variables)")
    case .lost(let error): self.init(.connection, "the connection was lost: \(error)")
    }
  }
}

extension Deadline {
  /// The deadline of a timeout that begins now; `never` for nil.
  init(_ timeout: Duration?) {
    guard let timeout else {
      self = .never
      return
    }
    let (seconds, attoseconds) = timeout.components
    let (whole, overflow) = Int(seconds).multipliedReportingOverflow(by: 1000)
    self =
      overflow ? .never : .after(milliseconds: whole + Int(attoseconds / 1_000_000_000_000_000))
  }
}
