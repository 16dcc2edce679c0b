import SystemPackage
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartStore
import WarmstartTensorModel
import WarmstartWire

/// One connection's conversation: the session receives calls and answers each, in order.
///
/// A call is parsed, waits for its turn among its user's calls, and runs the handler that
/// `ServedCall` lists for it. The session belongs to the thread that runs it; what its connection
/// holds ends with it.
final class Session {
  let daemon: Daemon
  let client: Client
  let connection: Connection
  let holdings: Holdings
  /// The progress notes of the current call, if the client asked for them.
  var progressNotes: ProgressNotes?
  let share: RequestShare
  let turn: Turn

  /// The longest buffer that a connection keeps between calls: a thousand may be idle.
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
    holdings = Holdings(client, of: daemon, connection, turn)
  }

  /// Answers calls until the client closes the connection, or sends something that is no call.
  func run() {
    converse()
    // Replies that the client has not received still hold our files; after a close none is left.
    share.settle()
    if share.hasSentFiles { client.socket.shutDown(writingToo: true) }
    while share.hasSentFiles, !daemon.isDraining {
      Thread.sleep(milliseconds: Session.lookMilliseconds)
      share.settle()
    }
  }

  /// How often the session looks whether the client has read: there is no event for that.
  private static let lookMilliseconds = 100

  /// Waits until the client has received the files that it was sent, or sends something.
  private func awaitReading() {
    share.settle()
    while share.hasSentFiles, !connection.hasBacklog {
      do {
        let seen = try Poll.wait(
          for: .readable, of: client.socket.descriptor,
          until: .after(milliseconds: Session.lookMilliseconds))
        if seen != nil { return }
      } catch {
        return
      }
      share.settle()
    }
  }

  private func converse() {
    do throws(WireError) {
      while try connection.receive(limit: Connection.maximumRequestByteCount), try answer() {
        turn.giveUp()
        // Refunded only after it is freed.
        connection.shrink()
        if !share.isEmpty { share.giveBack(keeping: connection.backlogBurden) }
        client.endCall()
        awaitReading()
      }
      // Most clients have hung up by now.
      if daemon.isDraining { try? refuse(Problem(.draining, "the daemon is stopping")) }
    } catch {
      // A client may leave without its answer; there is nothing to complain about, or to send.
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
      // A client that still listens receives the reason.
      try? refuse(Problem(error.reason, "\(error)"))
    }
  }

  /// Answers the last frame's call; returns false if a stopping daemon cancelled it.
  private func answer() throws(WireError) -> Bool {
    let call = try IncomingCall(connection.message)
    let deadline = deadline(of: call)
    let caller = Caller(client.socket, until: deadline, turn: turn)
    try connection.expectDescriptors(call.envelope.descriptorCount)
    client.countCall()
    // First, so that a failure before the call's turn closes nothing that an earlier call opened.
    holdings.beginCall()
    progressNotes = nil
    let reply = Responder(connection, call.envelope.id, share, until: deadline)
    do throws(CallFailure) {
      do throws(Problem) {
        // A call that was read ahead may have waited past its deadline.
        if connection.waitedMilliseconds > 0 { try caller.checkIn() }
        try turn.take(caller)
      } catch {
        throw .status(CallStatus(error))
      }
      try serve(call, reply, caller)
    } catch {
      holdings.closeOpened()
      holdings.giveBackAttached()
      switch error {
      // The daemon hung up, not the client, which can make the call again with the next daemon.
      case .status(let status)
      where daemon.isDraining && status.reason == .cancelled:
        return false
      case .status(let status):
        daemon.noteFailure(status, to: client, holdings.subject)
        try reply.fail(status)
      case .wire(let error): throw error
      }
    }
    return true
  }

  /// Answers a call; tries once more if it failed because open files got or lost names.
  ///
  /// The files are opened anew for that: their times changed, so what was verified before may be
  /// stale.
  private func serve(
    _ call: borrowing IncomingCall, _ reply: Responder, _ caller: Caller
  ) throws(CallFailure) {
    let served = try find(call)
    do throws(CallFailure) {
      try served.handler(self, call, reply, caller)
    } catch {
      guard served.mayOpen, case .status(let status) = error,
        status.reason == .checkpointChanged,
        holdings.areOnlyRelinked
      else { throw error }
      try holdings.reopenCurrent(caller)
      holdings.closeOpened()
      holdings.beginCall()
      try served.handler(self, call, reply, caller)
    }
  }

  /// Finds a call in the table; throws UNSUPPORTED if the daemon lacks it or a feature it requires.
  private func find(_ call: borrowing IncomingCall) throws(CallFailure) -> ServedCall {
    for feature in call.envelope.requiredFeatures where !Daemon.features.contains(feature) {
      throw .status(
        CallStatus(.unsupported, "this daemon does not have the feature \(Client.capped(feature))"))
    }
    return try ServedCall.find(path: call.path, from: client.endpoint)
  }

  /// Unpacks a call's request.
  func request<Request>(
    _ call: borrowing IncomingCall, _ unpack: (RawSpan, Scratch) throws(MessageError) -> Request
  ) throws(CallFailure) -> Request {
    do {
      let bytes = call.request
      return try unpack(bytes.rawSpan, connection.scratch)
    } catch {
      throw .status(CallStatus(.invalidRequest, "the request is not valid: \(error)"))
    }
  }

  /// When the client stops waiting; its timeout began when the frame arrived.
  private func deadline(of call: borrowing IncomingCall) -> Deadline {
    guard let timeout = call.envelope.timeoutMilliseconds else { return .never }
    return .after(milliseconds: max(0, timeout - connection.waitedMilliseconds))
  }

  private func refuse(_ problem: Problem) throws(WireError) {
    try Responder(connection, 0).fail(CallStatus(problem))
  }
}
