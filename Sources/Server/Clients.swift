import SystemPackage
package import WarmstartKernel
package import WarmstartStore
import WarmstartTensorModel

/// The socket that a client connected to, which decides what the client may do.
package enum Endpoint: Sendable, Hashable {
  case clients
  /// The socket that only administrators can open.
  case administration
}

/// What a connection has made or holds, which its thread counts without a lock.
struct Counts: Sendable {
  let calls = AtomicNumber()
  let leases = AtomicNumber()
  let files = AtomicNumber()
}

/// A connection's place among all connections: who the client is, and whose account pays.
///
/// The place is free again when the last reference to it ends.
package final class Place: Sendable {
  let id: UInt64
  let peer: Socket.Peer
  let endpoint: Endpoint
  /// The account of the client's user.
  let account: Account
  fileprivate let clients: Clients
  fileprivate let counts: Counts

  fileprivate init(
    _ id: UInt64, _ peer: Socket.Peer, _ endpoint: Endpoint, _ account: Account,
    _ counts: Counts, in clients: Clients
  ) {
    self.counts = counts
    self.id = id
    self.peer = peer
    self.endpoint = endpoint
    self.account = account
    self.clients = clients
  }

  deinit {
    clients.remove(id)
  }
}

/// A connection that a session serves, on the thread that owns it.
package final class Client: Sendable {
  package let socket: Socket
  private let place: Place
  private var clients: Clients { place.clients }

  package var id: UInt64 { place.id }
  package var peer: Socket.Peer { place.peer }
  package var endpoint: Endpoint { place.endpoint }
  var account: Account { place.account }

  init(_ socket: Socket, at place: Place) {
    self.socket = socket
    self.place = place
    place.clients.change(place.id) { $0.socket = Clients.Weak(socket: socket) }
  }

  /// Charges files that the connection keeps; throws `quota` if the user may not have that many.
  ///
  /// The files that it has when it ends are refunded.
  func keepFiles(_ count: Int, in store: Store, _ caller: Caller) throws(Problem) {
    try store.takeFiles(count, for: account, caller)
    place.counts.files.add(count)
  }

  /// Refunds files that are closed.
  func dropFiles(_ count: Int) {
    account.giveBack(count, of: .descriptors)
    place.counts.files.add(-count)
  }

  func introduce(label: String, command: String) {
    // Before the lock.
    let (label, command) = (Client.capped(label), Client.capped(command))
    clients.change(id) {
      $0.label = label
      $0.command = command
    }
  }

  func countCall() {
    place.counts.calls.add(1)
  }

  /// Counts a call that is answered and whose memory is free again.
  func endCall() {
    clients.endedCalls.add(1)
  }

  func countLeases(_ count: Int) {
    _ = place.counts.leases.exchange(count)
  }

  /// Shortens and escapes a client's text, which status reports and the log show to people.
  ///
  /// The limit is for the escaped text: an escaped character takes several bytes, and a report may
  /// have thousands of texts.
  static func capped(_ text: String) -> String {
    prefix(prefix(text).printable)
  }

  private static func prefix(_ text: String) -> String {
    let maximumByteCount = 256
    guard text.utf8.count > maximumByteCount else { return text }
    return String(decoding: text.utf8.prefix(maximumByteCount), as: UTF8.self)
  }
}

/// All connections of the daemon, and the limits of their number.
package final class Clients: Sendable {
  /// What the daemon knows about a connection.
  struct Record: Sendable {
    let id: UInt64
    /// Set once a thread has taken the connection.
    var socket = Weak(socket: nil)
    let peer: Socket.Peer
    let endpoint: Endpoint
    var label = ""
    var command = ""
    let counts: Counts
  }

  /// A reference that does not keep the connection open.
  struct Weak: Sendable {
    weak let socket: Socket?
  }

  // Arrays: the first dictionary of a type makes the runtime search all conformances, while the
  // connection that activated the daemon waits.
  private struct State {
    /// By ascending id.
    var records: [Record] = []
    var administrationCount = 0
    var lastID: UInt64 = 0

    func position(of id: UInt64) -> Int? {
      var low = 0
      var high = records.count
      while low < high {
        let middle = (low + high) / 2
        if records[middle].id < id { low = middle + 1 } else { high = middle }
      }
      return low < records.count && records[low].id == id ? low : nil
    }
  }

  /// The bytes that a connection takes between calls, for its buffers and its thread.
  static let connectionByteCount = 128 << 10

  private let limits: Limits
  private let accounts: Accounts
  /// Called when a connection has ended.
  private let changed: @Sendable () -> Void
  // Invariant: a record exists as long as its `Client`. Lock order: this monitor, then the accounts'.
  private let state = Monitor(State())
  fileprivate let endedCalls = AtomicNumber()

  package init(
    _ limits: Limits, _ accounts: Accounts, changed: @escaping @Sendable () -> Void
  ) {
    self.limits = limits
    self.accounts = accounts
    self.changed = changed
    accounts.limit(.connections, to: limits.connections)
    accounts.limit(.descriptors, to: limits.descriptors)
    accounts.limit(.filesInFlight, to: limits.filesInFlight)
    accounts.limit(.messages, to: limits.messageByteCount)
  }

  /// Gives a connection a place; throws if a limit is reached.
  func admit(_ peer: Socket.Peer, by endpoint: Endpoint) throws(Problem) -> Place {
    let account = Account(peer.uid, in: accounts)
    let counts = Counts()
    let id = try state.withLock { state throws(Problem) in
      switch endpoint {
      case .administration:
        guard state.administrationCount < limits.administrationConnections else {
          throw Problem(
            .quota, "administrators have \(state.administrationCount) connections, their limit")
        }
        state.administrationCount += 1
      case .clients: try takeConnection(for: account)
      }
      state.lastID += 1
      state.records.append(
        Record(id: state.lastID, peer: peer, endpoint: endpoint, counts: counts))
      return state.lastID
    }
    return Place(id, peer, endpoint, account, counts, in: self)
  }

  private func takeConnection(for account: Account) throws(Problem) {
    guard accounts.amount(of: .connections) < limits.connections else {
      throw Problem(.quota, "the daemon has \(limits.connections) connections, its limit")
    }
    let own = accounts.amount(of: .connections, for: account.uid)
    guard own < limits.connectionsPerUser else {
      throw Problem(.quota, "user \(account.uid) has \(own) connections, the limit for one user")
    }
    try account.take(1, of: .connections)
    do { try account.take(Clients.connectionByteCount, of: .messages) } catch {
      account.giveBack(1, of: .connections)
      throw error
    }
  }

  fileprivate func change(_ id: UInt64, _ change: (inout Record) -> Void) {
    state.withLock { state in
      guard let position = state.position(of: id) else { return }
      change(&state.records[position])
    }
  }

  fileprivate func remove(_ id: UInt64) {
    // `waitUntilGone` waits for this.
    state.notifying { state in
      guard let position = state.position(of: id) else { return }
      let record = state.records.remove(at: position)
      let account = Account(record.peer.uid, in: accounts)
      switch record.endpoint {
      case .administration: state.administrationCount -= 1
      case .clients:
        account.giveBack(1, of: .connections)
        account.giveBack(Clients.connectionByteCount, of: .messages)
      }
      account.giveBack(record.counts.files.value, of: .descriptors)
    }
    changed()
  }

  package var count: Int { state.withLock { $0.records.count } }

  /// The number of calls that were answered since the daemon started.
  var endedCallCount: Int { endedCalls.value }

  /// What is known about the connections of all users, or of one.
  func records(ofUser uid: UInt32? = nil) -> [Record] {
    state.withLock { state in
      state.records.filter { uid == nil || $0.peer.uid == uid }
    }
  }

  /// Ends reading on every connection: idle threads wake and end, calls in flight are cancelled.
  ///
  /// On a thread of its own, which may for a moment hold the last reference to a socket.
  func hangUp() {
    let hangUp = { @Sendable [self] in
      for record in records() { record.socket.socket?.shutDown(writingToo: false) }
    }
    do { try Thread.detach(hangUp) } catch { hangUp() }
  }

  /// Waits until all connections have ended; returns false at the deadline.
  func waitUntilGone(until deadline: Deadline) -> Bool {
    state.wait(until: deadline) { $0.records.isEmpty ? true : nil } ?? false
  }
}
