import SystemPackage
import WarmstartKernel
public import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartWire

/// A trainer's connection to the daemon of its machine.
///
/// The first call connects. After a restart of the daemon the next call connects again: memory that
/// was mapped stays mapped, and open checkpoints stay usable. Several threads may use one client;
/// their calls take turns.
public final class Client: Sendable {
  private struct State {
    /// The connection, unless it is lost or a call has it.
    var session: Session?
    /// Whether a call has its turn.
    var isTaken = false
    var sessionCount = 0
    /// Handles that were given back while a call had its turn, with their sessions.
    var closing: [(session: Int, handle: UInt64)] = []
  }

  /// Where the daemon listens.
  public let socketPath: String
  private let label: String
  private let whileWaiting: (@Sendable () -> Void)?
  // Invariant: during a call the session belongs to that call alone, and the state has none. Taking
  // turns costs nothing, since the daemon answers the calls of a connection one after the other.
  private let state = Monitor(State())

  /// Makes a client, which connects when it is first used.
  ///
  /// - Parameters:
  ///   - path: The path of the daemon's socket; by default `$WARMSTART_SOCKET`, else
  ///     `/run/warmstart/warmstart.sock` if this user may connect there, else the socket of the
  ///     user's own daemon, `$XDG_RUNTIME_DIR/warmstart/warmstart.sock`.
  ///   - label: The name of this client in the daemon's status, which shows at most 256 bytes.
  public convenience init(socket path: String? = nil, label: String = "") {
    self.init(socket: path, label: label, whileWaiting: nil)
  }

  /// Where administrators reach the daemon: the system's, or else the user's own.
  package static var administrationSocketPath: String { SocketPath.administration }

  /// Where this user sees most of a daemon's status.
  package static var statusSocketPath: String { SocketPath.forStatus }

  /// Makes a client that calls `whileWaiting` if a daemon does not begin to answer within a second.
  package init(socket path: String?, label: String, whileWaiting: (@Sendable () -> Void)?) {
    socketPath = path ?? SocketPath.standard
    self.label = label
    self.whileWaiting = whileWaiting
  }

  /// Opens a checkpoint as TensorFlow finds it and takes a lease on it.
  ///
  /// Opens the files with this process's rights, and waits while the daemon reads the index.
  ///
  /// - Parameters:
  ///   - path: A directory with a `checkpoint` file, a prefix, the file or pattern of a V1
  ///     checkpoint, or `name:` and the name under which an administrator published it: then no
  ///     file is opened, and all bytes come in arenas.
  ///   - expectation: What the files must be; nil for anything.
  ///   - timeout: How long to wait; nil for as long as it takes.
  /// - Returns: The checkpoint, whose lease ends with its last reference.
  /// - Throws: `WarmstartError` with the reason `checkpointNotFound`, `checkpointStateInvalid` or
  ///   `notAllowed` if the files are not found or cannot be opened, or the name is unknown or not
  ///   for this user; `checksumMismatch` if the files are not those expected; `corrupt`,
  ///   `truncated`, `versionMismatch` or `unsupported` for a faulty index; `checkpointChanged` if a
  ///   file is being written; `quota`, `budget`, `system`, `draining`, `deadline` or `connection`.
  public func open(
    _ path: String, expecting expectation: Expectation? = nil, timeout: Duration? = nil
  ) throws(WarmstartError) -> Checkpoint {
    try Checkpoint(path, self, expecting: expectation, until: Deadline(timeout))
  }

  /// Opens a checkpoint as `open` does, to list its tensors: its data files need not be readable.
  package func openToList(
    _ path: String, timeout: Duration? = nil
  ) throws(WarmstartError) -> Checkpoint {
    try Checkpoint(path, self, until: Deadline(timeout), needsData: false)
  }

  /// Asks the daemon what it holds, and for which clients of this user.
  ///
  /// - Parameter timeout: How long to wait; nil for as long as it takes.
  /// - Returns: The daemon's report.
  /// - Throws: `WarmstartError` with the reason `connection`, `notAllowed`, `quota`, `draining` or
  ///   `deadline`.
  public func status(timeout: Duration? = nil) throws(WarmstartError) -> StatusReport {
    var report = StatusReport()
    try call(.status, until: Deadline(timeout)) { session in
      session.connection.compose { frame, _ in frame.beginEmpty() }
      return []
    } read: { bytes, scratch, _ throws(MessageError) in
      report = try StatusReport(unpacking: bytes, scratch)
    }
    return report
  }

  /// Asks the daemon for the protocol that it speaks, as a `google.protobuf.FileDescriptorSet`.
  package func describe(timeout: Duration? = nil) throws(WarmstartError) -> [UInt8] {
    var descriptorSet: [UInt8] = []
    try call(.describe, until: Deadline(timeout)) { session in
      session.connection.compose { frame, _ in frame.beginEmpty() }
      return []
    } read: { bytes, scratch, _ throws(MessageError) in
      descriptorSet = try Description.descriptorSet(unpacking: bytes, scratch)
    }
    return descriptorSet
  }

  /// Asks whether the daemon serves, as gRPC's health protocol does.
  ///
  /// - Parameter timeout: How long to wait; nil for as long as it takes.
  /// - Returns: True if the daemon serves; false if it began to stop after this client connected.
  /// - Throws: `WarmstartError` with the reason `connection` if no daemon listens, `draining` if a
  ///   daemon that is stopping refuses the connection, `quota` if a full one does; `notAllowed` or
  ///   `deadline`.
  public func isServing(timeout: Duration? = nil) throws(WarmstartError) -> Bool {
    var health = Health.unknown
    try call(.checkHealth, until: Deadline(timeout)) { session in
      session.connection.compose { $0.begin(HealthRequest(), $1) }
      return []
    } read: { bytes, scratch, _ throws(MessageError) in
      health = try Health(unpacking: bytes, scratch)
    }
    return health == .serving
  }

  /// Makes a call, and repeats it once on a new connection if this one is lost.
  ///
  /// Repeating a call has no further effect. `write` begins the request's frame on the session and
  /// returns the files that go with it; it runs for each try and must forget what `read` gathered
  /// before. Returns the number of the session that answered.
  @discardableResult
  func call(
    _ method: Method, features: [String] = [], until deadline: Deadline,
    write: (Session) throws(SessionError) -> [File],
    read: (RawSpan, Scratch, [File]) throws(MessageError) -> Void
  ) throws(WarmstartError) -> Int {
    var session = try takeTurn(until: deadline)
    defer { endTurn(session) }
    var isRetry = false
    while true {
      do throws(SessionError) {
        let current: Session
        if let session { current = session } else { current = try connect(until: deadline) }
        session = current
        try current.call(method, features: features, until: deadline, write: write, read: read)
        return current.number
      } catch {
        if case .failed(let status) = error { throw WarmstartError(status) }
        session = nil
        guard error.mayRetry, !isRetry, !deadline.hasPassed else {
          throw WarmstartError(error)
        }
        isRetry = true
      }
    }
  }

  /// Closes a handle if its session still lives; a lost session has closed it already.
  ///
  /// Never waits: a call that has its turn closes the handle when it ends, and if the daemon has no
  /// room for the request now, a later call closes it.
  func giveBack(_ handle: UInt64, session number: Int) {
    let session = state.withLock { state -> Session? in
      if state.isTaken {
        state.closing.append((number, handle))
        return nil
      }
      guard let session = state.session, session.number == number else { return nil }
      state.isTaken = true
      state.closing.append((number, handle))
      return session
    }
    if let session { endTurn(session) }
  }

  /// Takes the turn when other threads' calls are done; returns the session, if there is one.
  private func takeTurn(until deadline: Deadline) throws(WarmstartError) -> Session? {
    let turn = state.wait(until: deadline) { state -> Turn? in
      guard !state.isTaken else { return nil }
      state.isTaken = true
      let session = state.session
      state.session = nil
      return Turn(session: session)
    }
    guard let turn else {
      throw WarmstartError(
        .deadline, "another thread's call on this client did not end in time")
    }
    return turn.session
  }

  /// What a call has while it has its turn.
  private struct Turn {
    let session: Session?
  }

  /// Gives the next call its turn, after handles that were given back meanwhile are closed.
  private func endTurn(_ session: Session?) {
    let isOver = state.notifyingOne { state in
      guard state.closing.isEmpty else { return false }
      state.session = session
      state.isTaken = false
      return true
    }
    if !isOver { closeHandlesAndEndTurn(session) }
  }

  private func closeHandlesAndEndTurn(_ session: Session?) {
    var session = session
    // Handles that the daemon had no room for: they wait for the end of a later turn.
    var unsent: [(session: Int, handle: UInt64)] = []
    while true {
      let closing = state.notifyingOne { state -> [(session: Int, handle: UInt64)] in
        let closing = session == nil || !unsent.isEmpty ? [] : state.closing
        guard closing.isEmpty else {
          state.closing = []
          return closing
        }
        state.closing = session == nil ? [] : unsent + state.closing
        state.session = session
        state.isTaken = false
        return []
      }
      if closing.isEmpty { return }
      for handle in closing where handle.session == session?.number {
        guard unsent.isEmpty else {
          unsent.append(handle)
          continue
        }
        do throws(SessionError) {
          let isSent = try session?.post(.close, CloseRequest(handle: handle.handle)) ?? true
          if !isSent { unsent.append(handle) }
        } catch {
          // The daemon gives back what a lost connection held.
          session = nil
        }
      }
    }
  }

  private func connect(until deadline: Deadline) throws(SessionError) -> Session {
    let number = state.withLock { state in
      state.sessionCount += 1
      return state.sessionCount
    }
    return try Session(
      socketPath, number: number, label: label, until: deadline, whileWaiting: whileWaiting)
  }
}

extension SessionError {
  /// Whether the call may succeed on another connection.
  fileprivate var mayRetry: Bool {
    switch self {
    case .lost(.tooLong): false
    case .lost: true
    case .refused(let status): status.reason == .draining
    case .cannotConnect, .failed, .deadlinePassed: false
    }
  }
}

extension WarmstartError {
  fileprivate init(_ error: SessionError) {
    switch error {
    case .failed(let status), .refused(let status): self.init(status)
    case .deadlinePassed:
      self.init(.deadline, "the daemon did not answer in time")
    case .cannotConnect("", let errno):
      self.init(.connection, "the path of the daemon's socket is empty", underlying: errno)
    case .cannotConnect(let path, let errno)
    where errno == .noSuchFileOrDirectory || errno == .connectionRefused:
      let start =
        SocketPath.unit(of: path).map { "; start it with: sudo systemctl start \($0)" }
        ?? " (is warmstartd started?)"
      self.init(.connection, "no daemon listens at \(path)\(start)", underlying: errno)
    case .cannotConnect(let path, .permissionDenied):
      // The user needs both steps, because a session gets its groups at its beginning.
      let group =
        SocketPath.group(of: path).map {
          "; it must be in the group \($0): sudo usermod -aG \($0) \"$USER\", and log in again"
        } ?? ""
      self.init(
        .notAllowed, "this user may not connect to \(path)\(group)", underlying: .permissionDenied)
    case .cannotConnect(let path, let errno):
      self.init(.connection, "cannot connect to \(path): \(errno)", underlying: errno)
    case .lost(.tooLong(let count, let limit))
    where limit == Connection.maximumRequestByteCount:
      self.init(
        .invalidRequest,
        "the request has \(count) bytes, expected at most \(limit) (some 150,000 variables)")
    case .lost(let error): self.init(.connection, "the connection was lost: \(error)")
    }
  }
}

extension Deadline {
  /// The deadline of a timeout that starts now; `never` for nil.
  init(_ timeout: Duration?) {
    guard let timeout else {
      self = .never
      return
    }
    let (seconds, attoseconds) = timeout.components
    let (whole, overflow) = Int(seconds).multipliedReportingOverflow(by: 1000)
    let (sum, isLate) = whole.addingReportingOverflow(Int(attoseconds / 1_000_000_000_000_000))
    let isForever = (overflow || isLate) && seconds > 0
    self = isForever ? .never : .after(milliseconds: overflow ? 0 : sum)
  }
}
