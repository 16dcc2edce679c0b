import SystemPackage
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

/// A checkpoint that a connection has open: its lease, and the files to read it through.
struct OpenCheckpoint {
  let handle: UInt64
  let lease: Lease
  let files: FileSet

  var resident: Resident { lease.resident }
  var checkpoint: Checkpoint { lease.resident.checkpoint }

  var reply: OpenReply {
    OpenReply(
      handle: handle, generation: resident.generation.description,
      format: checkpoint.format.rawValue,
      tensorCount: checkpoint.catalog.count, byteCount: checkpoint.byteCount)
  }
}

/// One connection's conversation: takes calls in order and answers each.
///
/// Belongs to the thread that runs it. What the connection holds is held here, and given back when
/// the session ends.
final class Session {
  let daemon: Daemon
  let client: Client
  let connection: Connection
  private var checkpoints: [UInt64: OpenCheckpoint] = [:]
  private var attached: [UInt64: File] = [:]
  /// A checkpoint, as an operator is told of it.
  struct Subject {
    let label: String
    /// The user who called it so.
    let openedBy: UInt32
    let generation: Generation
  }

  /// What the call that is being answered is about, once that is known.
  private var subject: Subject?
  /// What the call that is being answered opened; if it fails, nobody learns the handle.
  private var openedByCall: UInt64?
  /// Whether the call that is being answered opened its checkpoint, which its first reply then tells.
  var isOpenedByCall: Bool { openedByCall != nil }
  /// What the call that is being answered opened before by an earlier one.
  private var named: OpenCheckpoint?
  /// The files that the call that is being answered opens, unless some were attached before.
  private var passed: FileSet?
  /// What the client was told of how far the call that is being answered is, if it wants to know.
  var progressNotes: ProgressNotes?
  private var lastID: UInt64 = 0
  let share: RequestShare
  private let turn: Turn

  /// A thousand connections may be idle, and each keeps so much of a buffer.
  private static let keptByteCount = 32 << 10

  init(_ client: Client, of daemon: Daemon, _ memory: Connection.Memory) {
    self.client = client
    self.daemon = daemon
    let share = RequestShare(client.account, client.socket)
    self.share = share
    let turn = Turn(among: daemon.callSlots, for: client.peer.uid)
    self.turn = turn
    connection = Connection(
      client.socket, memory, keptByteCount: Session.keptByteCount
    ) { burden throws(WireError) in
      try share.take(burden)
    } willWait: {
      turn.giveUp()
    }
  }

  /// Answers calls until the client closes, or sends what is not a call.
  func run() {
    converse()
    // What the client has not received still has our files. One that has closed has received all.
    share.settle()
    if share.hasSentFiles { client.socket.shutDown(writingToo: true) }
    while share.hasSentFiles, !daemon.isDraining {
      Thread.sleep(milliseconds: Session.lookMilliseconds)
      share.settle()
    }
  }

  /// There is no event for a peer's reading: it is looked for so often.
  private static let lookMilliseconds = 100

  /// Waits until the client has received the files that it was sent, or says something.
  private func awaitReading() {
    share.settle()
    while share.hasSentFiles, !connection.hasBacklog {
      var poll = Poll()
      poll.add(client.socket.descriptor, for: .readable)
      let deadline = Deadline.after(milliseconds: Session.lookMilliseconds)
      if (try? poll.wait(until: deadline)) ?? true { return }
      share.settle()
    }
  }

  private func converse() {
    do throws(WireError) {
      while try connection.receive(limit: Connection.maximumRequestByteCount), try answer() {
        turn.giveUp()
        // Given back when it is free.
        connection.shrink()
        share.giveBack(keeping: connection.backlogBurden)
        client.endCall()
        awaitReading()
      }
      // Most have hung up themselves by now.
      if daemon.isDraining { try? refuse(Problem(.draining, "the daemon is stopping")) }
    } catch {
      // A client that did not wait for its answer is at no fault, and hears nothing more.
      if error == .system(.brokenPipe) || error == .system(.connectionReset) { return }
      if daemon.isDraining, error == .endedInFrame {
        try? refuse(Problem(.draining, "the daemon is stopping"))
        return
      }
      if case .http(let version) = error {
        daemon.noteHTTP(client)
        connection.answerHTTP(version: version)
        return
      }
      daemon.noteBrokenSession(client, error)
      // A client that still listens learns why; one that does not is gone anyway.
      try? refuse(Problem(error.reason, "\(error)"))
    }
  }

  /// Answers the last frame's call; false if draining the daemon cancelled it.
  private func answer() throws(WireError) -> Bool {
    let call: Call
    do { call = try Call(parsing: connection.message) } catch { throw .malformed("\(error)") }
    let deadline = deadline(of: call)
    let caller = Caller(client.socket, until: deadline, turn: turn)
    try connection.expectDescriptors(call.descriptorCount)
    client.countCall()
    progressNotes = nil
    let reply = Responder(connection, call.id, share, until: deadline)
    do throws(CallFailure) {
      do throws(Problem) {
        // Its time may be over before its turn.
        if connection.waitedMilliseconds > 0 { try caller.checkIn() }
        try turn.take(caller)
      } catch {
        throw .status(CallStatus(error))
      }
      try dispatchAgain(call, reply, caller)
    } catch {
      if let openedByCall { try? close(openedByCall) }
      switch error {
      // The client has not hung up, the daemon has: the call can be made again on another's socket.
      case .status(let status)
      where daemon.isDraining && status.reason == .cancelled:
        return false
      case .status(let status):
        if let subject, status.code == .dataLoss || status.code == .outOfRange {
          daemon.noteDamage(status, to: subject)
        }
        try reply.fail(status)
      case .wire(let error): throw error
      }
    }
    return true
  }

  /// Answers a call; once more if it failed because files that are open got or lost names.
  ///
  /// They are opened anew then, so that nothing that was verified before is taken for what they are now.
  private func dispatchAgain(
    _ call: Call, _ reply: Responder, _ caller: Caller
  ) throws(CallFailure) {
    do throws(CallFailure) {
      try dispatch(call, reply, caller)
    } catch {
      guard case .status(let status) = error, status.reason == .checkpointChanged,
        let files = named?.files ?? passed, files.areOnlyRelinked
      else { throw error }
      if let named { try reopen(named, caller) }
      if let openedByCall { try close(openedByCall) }
      try dispatch(call, reply, caller)
    }
  }

  private func dispatch(
    _ call: Call, _ reply: Responder, _ caller: Caller
  ) throws(CallFailure) {
    openedByCall = nil
    subject = nil
    named = nil
    passed = nil
    for feature in call.requiredFeatures where !Daemon.features.contains(feature) {
      throw .status(
        CallStatus(.unsupported, "this daemon does not have the feature \(Client.capped(feature))"))
    }
    let path = connection.message[call.path]
    guard let method = Method(path: path) else {
      let name = Client.capped(String(decoding: path, as: UTF8.self))
      let hint = name.hasPrefix("/") ? "" : ", expected a path such as \(Method.hello.rawValue)"
      throw .status(CallStatus(.unsupported, "this daemon does not have the call \(name)\(hint)"))
    }
    switch method {
    case .hello: try hello(call, reply)
    case .attach: try attach(reply, caller)
    case .open: try open(call, reply, caller)
    case .close: try close(call, reply)
    case .list: try list(call, reply, caller)
    case .listObjects: try listObjects(call, reply, caller)
    case .resolve: try resolve(call, reply, caller)
    case .status: try status(reply)
    case .describe: try reply.send { frame, _ in frame.beginDescription() }
    case .checkHealth: try checkHealth(call, reply)
    case .watchHealth: try watchHealth(call, reply, caller)
    }
  }

  /// Unpacks the request of a call.
  func request<Request>(
    _ call: Call, _ unpack: (RawSpan, Scratch) throws(MessageError) -> Request
  ) throws(CallFailure) -> Request {
    do {
      return try connection.withMessage(call.request, unpack)
    } catch {
      throw .status(CallStatus(.invalidRequest, "the request is not valid: \(error)"))
    }
  }

  /// When the client stops waiting, which began when the call had come.
  private func deadline(of call: Call) -> Deadline {
    guard let timeout = call.timeoutMilliseconds else { return .never }
    return .after(milliseconds: max(0, timeout - connection.waitedMilliseconds))
  }

  /// A failure for what only the connection itself can give back: waiting does not help.
  private static func full(_ message: String) -> CallStatus {
    var status = CallStatus(.quota, message)
    status.retryMilliseconds = nil
    return status
  }

  private func refuse(_ problem: Problem) throws(WireError) {
    try Responder(connection, 0).fail(CallStatus(problem))
  }

  // MARK: What the connection holds

  /// Keeps the files of the last frame for a later call.
  func keepFiles(_ caller: Caller) throws(CallFailure) -> [UInt64] {
    let files = connection.files
    guard files.count <= maximumCheckpointFiles - attached.count else {
      throw .status(
        Session.full("a connection attaches at most \(maximumCheckpointFiles) files"))
    }
    do {
      // Not only for later: a client's own socket, held here, would keep its connection alive.
      try caller.pausing { () throws(Problem) in
        for file in files { _ = try FileSet.accept(file, as: "attached file") }
      }
      try client.keepFiles(files.count, in: daemon.store, caller)
    } catch { throw .status(CallStatus(error)) }
    return files.map { file in
      lastID += 1
      attached[lastID] = file
      return lastID
    }
  }

  /// Finds or opens the checkpoint that a request is about.
  func open(
    _ reference: CheckpointReference, _ caller: Caller
  ) throws(CallFailure) -> OpenCheckpoint {
    switch reference {
    case .handle(let handle):
      guard let open = checkpoints[handle] else {
        throw .status(CallStatus(.invalidRequest, "this connection has no checkpoint \(handle)"))
      }
      let resident = open.resident
      named = open
      subject = Subject(
        label: resident.label, openedBy: resident.openedBy, generation: resident.generation)
      return open
    case .files(let files, let label):
      guard checkpoints.count < daemon.limits.handles else {
        throw .status(
          Session.full("a connection has at most \(daemon.limits.handles) checkpoints open"))
      }
      do {
        return try openFiles(files, label: label, caller)
      } catch {
        throw .status(CallStatus(error))
      }
    }
  }

  private func openFiles(
    _ references: [CheckpointFile], label: String, _ caller: Caller
  ) throws(Problem) -> OpenCheckpoint {
    var files: [(role: FileRole, file: File)] = []
    var used: Set<UInt64> = []
    for reference in references {
      switch reference.source {
      case .descriptor(let position):
        guard connection.files.indices.contains(position) else {
          throw Problem(
            .invalidRequest,
            "the call names descriptor \(position), but carries \(connection.files.count)")
        }
        files.append((reference.role, connection.files[position]))
      case .attached(let id):
        guard let file = attached[id], !used.contains(id) else {
          throw Problem(
            .invalidRequest,
            "this connection has no attached file \(id): none was attached, or it was used")
        }
        used.insert(id)
        files.append((reference.role, file))
      }
    }
    let fresh = files.count - used.count
    try client.keepFiles(fresh, in: daemon.store, caller)
    let lease: Lease
    let set: FileSet
    do throws(Problem) {
      set = try caller.pausing { () throws(Problem) in
        try FileSet(files, openedBy: client.peer.uid, checkIn: caller.checkIn)
      }
      if used.isEmpty { passed = set }
      let label = Client.capped(label)
      subject = Subject(
        label: label, openedBy: client.peer.uid, generation: set.generation)
      lease = try daemon.store.open(set, label: label, for: caller)
    } catch {
      client.dropFiles(fresh)
      throw error
    }
    for id in used { attached[id] = nil }
    lastID += 1
    let open = OpenCheckpoint(handle: lastID, lease: lease, files: set)
    checkpoints[open.handle] = open
    openedByCall = open.handle
    client.countLeases(checkpoints.count)
    return open
  }

  /// Opens the files of a checkpoint anew, under the same handle.
  private func reopen(_ open: OpenCheckpoint, _ caller: Caller) throws(CallFailure) {
    do {
      let files = try caller.pausing { () throws(Problem) in
        try FileSet(
          open.files.members.map { ($0.role, $0.file) }, openedBy: client.peer.uid,
          checkIn: caller.checkIn)
      }
      let lease = try daemon.store.open(files, label: open.resident.label, for: caller)
      checkpoints[open.handle] = OpenCheckpoint(handle: open.handle, lease: lease, files: files)
    } catch {
      throw .status(CallStatus(error))
    }
  }

  /// Gives a checkpoint back.
  func close(_ handle: UInt64) throws(CallFailure) {
    guard let open = checkpoints.removeValue(forKey: handle) else {
      throw .status(CallStatus(.invalidRequest, "this connection has no checkpoint \(handle)"))
    }
    let fileCount = open.files.members.count
    // A file that does not answer keeps nobody's turn.
    turn.giveUp()
    // Closed here, and only then given back.
    _ = consume open
    client.dropFiles(fileCount)
    client.countLeases(checkpoints.count)
  }
}

/// Why a call was not answered with a response.
enum CallFailure: Error {
  /// The client is told.
  case status(CallStatus)
  /// The session ends.
  case wire(WireError)
}

extension WireError {
  /// What the client is told before its session ends.
  fileprivate var reason: Reason {
    switch self {
    case .overQuota: .quota
    case .timedOut: .deadline
    case .system: .system
    case .endedInFrame, .badFlags, .http, .tooLong, .descriptorsDiffer, .malformed: .invalidRequest
    }
  }
}
