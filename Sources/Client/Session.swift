import SystemPackage
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartWire

/// A connection to the daemon while it lasts; a client makes a new one when it is lost.
final class Session {
  /// The protocol ids below `firstCallID` are for what the session itself asks.
  private static let helloID: UInt64 = 1

  /// Distinguishes the sessions of one client: handles belong to one session.
  let number: Int
  let connection: Connection
  private var lastID = Session.helloID
  /// Calls whose replies no caller waits for; they precede those to later calls.
  private var posted = [Session.helloID]
  /// What to do, once, if the daemon has not even said hello by then.
  private var notice: (due: Deadline, give: @Sendable () -> Void)?
  /// The same in every session: the process keeps its name.
  private static let commandLine = Process.commandLine

  /// Connects and introduces the client, without waiting for an answer.
  ///
  /// `whileWaiting` is called if the daemon has not answered after a second.
  init(
    _ path: String, number: Int, label: String, until deadline: Deadline,
    whileWaiting: (@Sendable () -> Void)?
  ) throws(SessionError) {
    self.number = number
    do {
      connection = Connection(try Socket(connectingTo: FilePath(path), until: deadline))
    } catch {
      throw error == .wouldBlock ? .deadlinePassed : .cannotConnect(path, error)
    }
    notice = whileWaiting.map { (.after(milliseconds: Session.patienceMilliseconds), $0) }
    connection.outgoing.begin(
      HelloRequest(label: label, command: Session.commandLine), connection.scratch)
    finish(.hello, [], descriptorCount: 0, until: deadline)
    do throws(WireError) {
      try connection.send(until: deadline)
    } catch {
      throw lastWords(after: error, deadline)
    }
  }

  /// How long a daemon may take to start before the client gives notice that it does not answer.
  private static let patienceMilliseconds = 1000

  /// Makes a call: `write` begins the request's frame and returns the files that go with it, `read`
  /// gets each response.
  func call(
    _ method: Method, features: [String] = [], until deadline: Deadline,
    write: (Session) throws(SessionError) -> [File],
    read: (RawSpan, Scratch, [File]) throws(MessageError) -> Void
  ) throws(SessionError) {
    let files = try write(self)
    lastID += 1
    finish(method, features, descriptorCount: files.count, until: deadline)
    do throws(WireError) {
      try checkLength()
      try connection.send(files, until: deadline)
    } catch {
      throw lastWords(after: error, deadline)
    }
    defer { connection.shrink() }
    while try receive(lastID, until: deadline, read) {
      // A daemon that sends without an end does not hold its client beyond the deadline.
      if deadline.hasPassed { throw .deadlinePassed }
    }
  }

  /// Makes a call whose answer does not matter, without waiting for it.
  ///
  /// Returns false if the daemon has no room for the request now.
  func post(_ method: Method, _ request: CloseRequest) throws(SessionError) -> Bool {
    connection.outgoing.begin(request, connection.scratch)
    finish(method, [], descriptorCount: 0, until: .never, id: lastID + 1)
    do throws(WireError) {
      guard try connection.sendAtOnce() else { return false }
    } catch {
      throw .lost(error)
    }
    lastID += 1
    posted.append(lastID)
    return true
  }

  /// Makes a frame of the request that was written.
  private func finish(
    _ method: Method, _ features: [String], descriptorCount: Int, until deadline: Deadline,
    id: UInt64? = nil
  ) {
    var call = Call(id: id ?? lastID)
    call.descriptorCount = descriptorCount
    // The daemon's time begins when it has the call, so the client's is over first.
    call.timeoutMilliseconds = deadline.remainingMilliseconds.map { max(1, $0) }
    call.requiredFeatures = features
    connection.outgoing.finish(call, path: method.path)
  }

  /// Throws if the outgoing frame is longer than a daemon takes.
  private func checkLength() throws(WireError) {
    let byteCount = connection.outgoing.byteCount - Connection.prefixByteCount
    guard byteCount <= Connection.maximumRequestByteCount else {
      throw .tooLong(byteCount: byteCount, limit: Connection.maximumRequestByteCount)
    }
  }

  /// Why nothing could be sent: a daemon that refuses a connection says so and closes at once.
  private func lastWords(after error: WireError, _ deadline: Deadline) -> SessionError {
    if error == .timedOut, deadline.hasPassed { return .deadlinePassed }
    guard error == .system(.brokenPipe) || error == .system(.connectionReset) else {
      return .lost(error)
    }
    while let reply = try? receive(until: .after(milliseconds: 0)) {
      guard reply.id == 0, let range = reply.status else { continue }
      let status = try? connection.withMessage(range, CallStatus.init(unpacking:_:))
      if let status { return .refused(status) }
    }
    return .lost(error)
  }

  /// Takes one reply; returns whether more follow.
  private func receive(
    _ id: UInt64, until deadline: Deadline,
    _ read: (RawSpan, Scratch, [File]) throws(MessageError) -> Void
  ) throws(SessionError) -> Bool {
    let reply = try receive(until: deadline)
    let isPosted = posted.first == reply.id
    if isPosted { posted.removeFirst() }
    if isPosted, reply.status == nil || reply.id != Session.helloID { return true }
    if let range = reply.status {
      let status = try unpack { () throws(MessageError) in
        try connection.withMessage(range, CallStatus.init(unpacking:_:))
      }
      throw reply.id == 0 ? .refused(status) : .failed(status)
    }
    guard reply.id == id else {
      throw .lost(.malformed("a reply to call \(reply.id), expected \(id)"))
    }
    let files = connection.files
    do throws(MessageError) {
      try connection.withMessage(reply.response) { bytes, scratch throws(MessageError) in
        try read(bytes, scratch, files)
      }
    } catch {
      throw .lost(.malformed("\(error)"))
    }
    return reply.more
  }

  private func receive(until deadline: Deadline) throws(SessionError) -> Reply {
    do throws(WireError) {
      guard try awaitFrame(until: deadline) else { throw WireError.endedInFrame }
    } catch {
      throw error == .timedOut && deadline.hasPassed ? .deadlinePassed : .lost(error)
    }
    let reply = try unpack { () throws(MessageError) in try Reply(parsing: connection.message) }
    do { try connection.expectDescriptors(reply.descriptorCount) } catch { throw .lost(error) }
    return reply
  }

  /// Waits for a frame, and gives notice if the daemon does not begin to answer.
  private func awaitFrame(until deadline: Deadline) throws(WireError) -> Bool {
    let limit = Connection.maximumReplyByteCount
    guard let notice else { return try connection.receive(limit: limit, until: deadline) }
    self.notice = nil
    do {
      return try connection.receive(limit: limit, until: min(deadline, notice.due))
    } catch {
      guard error == .timedOut, !deadline.hasPassed else { throw error }
      notice.give()
      return try connection.receive(limit: limit, until: deadline)
    }
  }

  private func unpack<Result>(
    _ body: () throws(MessageError) -> Result
  ) throws(SessionError) -> Result {
    do { return try body() } catch { throw .lost(.malformed("\(error)")) }
  }
}

/// Why a call on a session has no result.
enum SessionError: Error {
  /// Nobody listens there, or the user may not connect.
  case cannotConnect(String, Errno)
  /// The connection is unusable: the call may be made again on another.
  case lost(WireError)
  /// The daemon does not want the connection (any more).
  case refused(CallStatus)
  /// The daemon answered that the call failed; the session goes on.
  case failed(CallStatus)
  /// The caller's time is up; a late answer would be taken for another call's.
  case deadlinePassed
}
