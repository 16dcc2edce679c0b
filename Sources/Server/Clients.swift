import WarmstartCheckpoint
import WarmstartKernel
package import WarmstartStore
import WarmstartTensorModel

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
    /// The checkpoints that the connection has open, one for each handle.
    var leases: [Generation] = []
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
    var metricsCount = 0
    var lastID: UInt64 = 0

    func position(of id: UInt64) -> Int? {
      let position = records.indices.firstPosition { records[$0].id >= id }
      return position < records.count && records[position].id == id ? position : nil
    }
  }

  private let limits: CurrentLimits
  private let accounts: Accounts
  /// Called when a connection has ended.
  private let changed: @Sendable () -> Void
  // Invariant: a record exists as long as its `Place`. Lock order: this monitor, then the
  // accounts'.
  private let state = Monitor(State())
  let endedCalls = AtomicNumber()

  package init(
    _ limits: CurrentLimits, _ accounts: Accounts, changed: @escaping @Sendable () -> Void
  ) {
    self.limits = limits
    self.accounts = accounts
    self.changed = changed
  }

  /// Gives a connection a place; throws if a limit is reached.
  func admit(_ peer: Socket.Peer, by endpoint: Endpoint) throws(Problem) -> Place {
    let account = Account(peer.uid, in: accounts)
    let counts = Counts()
    let limits = limits.now
    let id = try state.withLock { state throws(Problem) in
      switch endpoint {
      case .administration:
        guard state.administrationCount < limits.administrationConnections else {
          throw Problem(
            .quota, "administrators have \(state.administrationCount) connections, their limit")
        }
        state.administrationCount += 1
      case .metrics:
        guard state.metricsCount < limits.metricsConnections else {
          throw Problem(
            .quota, "monitoring systems have \(state.metricsCount) connections, their limit")
        }
        state.metricsCount += 1
      case .clients: try takeConnection(for: account, limits)
      }
      state.lastID += 1
      state.records.append(
        Record(id: state.lastID, peer: peer, endpoint: endpoint, counts: counts))
      return state.lastID
    }
    return Place(id, peer, endpoint, account, counts, in: self)
  }

  private func takeConnection(for account: Account, _ limits: Limits) throws(Problem) {
    guard accounts.amount(of: .connections) < limits.connections else {
      throw Problem(
        .quota,
        "the daemon has \(Resource.connections.text(limits.connections)), its limit; see "
          + Resource.connections.setting)
    }
    let own = accounts.amount(of: .connections, for: account.uid)
    guard own < limits.connectionsPerUser else {
      throw Problem(
        .quota,
        "user \(account.uid) has \(Resource.connections.text(own)), the limit for one user; see "
          + Resource.ownConnectionsSetting)
    }
    try account.take(1, of: .connections)
    do { try account.take(Limits.connectionByteCount, of: .messages) } catch {
      account.giveBack(1, of: .connections)
      throw error
    }
  }

  func change(_ id: UInt64, _ change: (inout Record) -> Void) {
    state.withLock { state in
      guard let position = state.position(of: id) else { return }
      change(&state.records[position])
    }
  }

  func remove(_ id: UInt64) {
    // `waitUntilGone` waits for this.
    state.notifying { state in
      guard let position = state.position(of: id) else { return }
      let record = state.records.remove(at: position)
      let account = Account(record.peer.uid, in: accounts)
      switch record.endpoint {
      case .administration: state.administrationCount -= 1
      case .metrics: state.metricsCount -= 1
      case .clients:
        account.giveBack(1, of: .connections)
        account.giveBack(Limits.connectionByteCount, of: .messages)
      }
      account.giveBack(record.counts.files.value, of: .descriptors)
    }
    changed()
  }

  /// The number of connections, without those that ask for the metrics.
  package var count: Int { state.withLock { $0.records.count - $0.metricsCount } }

  /// The number of calls that were answered since the daemon started.
  var endedCallCount: Int { endedCalls.value }

  /// What is known about the connections of all users, or of one, without those that ask for the
  /// metrics.
  func records(ofUser uid: UInt32? = nil) -> [Record] {
    state.withLock { state in
      state.records.filter { $0.endpoint != .metrics && (uid == nil || $0.peer.uid == uid) }
    }
  }

  /// Ends reading on every connection: idle threads wake and end, calls in flight are cancelled.
  ///
  /// On a thread of its own, which may for a moment hold the last reference to a socket.
  func hangUp() {
    let hangUp = { @Sendable [self] in
      for record in state.withLock({ $0.records }) {
        record.socket.socket?.shutDown(writingToo: false)
      }
    }
    do { try Thread.detach(hangUp) } catch { hangUp() }
  }

  /// Waits until all connections have ended; returns false at the deadline.
  func waitUntilGone(until deadline: Deadline) -> Bool {
    state.wait(until: deadline) { $0.records.isEmpty ? true : nil } ?? false
  }
}
