import SystemPackage
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartWire

/// One connection to the daemon; when it is lost, the client makes a new session.
///
/// A session sends a call and reads its replies before the next call. Two requests are exceptions:
/// Hello and Close are posted, and their replies are skipped when a later call reads them.
final class Session {
  /// The id of Hello, the first call of a session.
  private static let helloID: UInt64 = 1

  /// Distinguishes the sessions of one client: handles belong to one session.
  let number: Int
  let connection: Connection
  private var lastID = Session.helloID
  /// Calls whose replies no caller waits for; they precede those to later calls.
  private var posted = [Session.helloID]
  /// Called once if the daemon has sent nothing by the time `due`.
  private var notice: (due: Deadline, give: @Sendable () -> Void)?
  /// Read once: it is the same in every session.
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
    connection.compose { frame, scratch in
      frame.begin(HelloRequest(label: label, command: Session.commandLine), scratch)
    }
    finish(.hello, [], descriptorCount: 0, until: deadline)
    do throws(WireError) {
      try connection.send(until: deadline)
    } catch {
      throw lastWords(after: error, deadline)
    }
  }

  /// How long a daemon may take to answer before the client calls `whileWaiting`.
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
    let byteCount = finish(method, features, descriptorCount: files.count, until: deadline)
    do throws(WireError) {
      guard byteCount <= Connection.maximumRequestByteCount else {
        throw .tooLong(byteCount: byteCount, limit: Connection.maximumRequestByteCount)
      }
      try connection.send(files, until: deadline)
    } catch {
      throw lastWords(after: error, deadline)
    }
    defer { connection.shrink() }
    while try receive(lastID, until: deadline, read) {
      // A daemon that never stops sending cannot hold the client beyond the deadline.
      if deadline.hasPassed { throw .deadlinePassed }
    }
  }

  /// Makes a call whose answer does not matter, without waiting for it.
  ///
  /// Returns false if the daemon has no room for the request now.
  func post(_ method: Method, _ request: CloseRequest) throws(SessionError) -> Bool {
    connection.compose { $0.begin(request, $1) }
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

  /// Makes a frame of the request that was written; returns the length of its message.
  @discardableResult
  private func finish(
    _ method: Method, _ features: [String], descriptorCount: Int, until deadline: Deadline,
    id: UInt64? = nil
  ) -> Int {
    connection.compose { frame, _ in
      var call = Call(id: id ?? lastID)
      call.descriptorCount = descriptorCount
      // The daemon's timeout starts when it receives the call, so the client's ends first.
      call.timeoutMilliseconds = deadline.remainingMilliseconds.map { max(1, $0) }
      call.requiredFeatures = features
      frame.finish(call, path: method.path)
    }
  }

  /// The reason that sending failed: a daemon that refuses a connection sends a status and closes.
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

  /// Reads one reply; returns whether more follow.
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

  /// Waits for a frame; calls `whileWaiting` if the daemon does not begin to answer.
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

/// The reason that a call on a session failed.
enum SessionError: Error {
  /// No daemon listens at the path, or the user may not connect.
  case cannotConnect(String, Errno)
  /// The connection is unusable; the call may be repeated on another.
  case lost(WireError)
  /// The daemon refuses the connection, or ends it.
  case refused(CallStatus)
  /// The daemon answered that the call failed; the session goes on.
  case failed(CallStatus)
  /// The timeout passed. The session ends, since a late reply would be taken for the next call's.
  case deadlinePassed
}
