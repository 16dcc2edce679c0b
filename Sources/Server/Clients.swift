package import Kernel
import SystemPackage
package import TensorModel

/// Which of the daemon's sockets a client came by, which decides what it may do.
package enum Endpoint: Sendable, Hashable {
  case clients
  /// The socket that only administrators can open.
  case administration
}

/// What the connections of one user share.
enum Share: Int, Sendable, CaseIterable, CustomStringConvertible {
  /// Files that connections hold.
  case files
  /// Files on frames that are being received and answered.
  case filesInFlight
  /// Memory for requests that are being received and answered, beyond small ones.
  case requestBytes

  var description: String {
    switch self {
    case .files: "files"
    case .filesInFlight: "files in flight"
    case .requestBytes: "bytes of requests"
    }
  }
}

/// A connection that was admitted: who it is, and its share of its user's limits.
package final class Client: Sendable {
  package let id: UInt64
  package let socket: Socket
  package let peer: Socket.Peer
  package let endpoint: Endpoint
  private let clients: Clients

  fileprivate init(
    _ id: UInt64, _ socket: Socket, _ peer: Socket.Peer, _ endpoint: Endpoint, in clients: Clients
  ) {
    self.id = id
    self.socket = socket
    self.peer = peer
    self.endpoint = endpoint
    self.clients = clients
  }

  deinit {
    clients.remove(id)
  }

  /// Takes of what the user's connections share; throws `quota` if that is more than is left.
  func take(_ count: Int, of share: Share) throws(Problem) {
    try clients.take(count, of: share, for: self)
  }

  /// Gives back what was taken.
  func giveBack(_ count: Int, of share: Share) {
    clients.giveBack(count, of: share, for: self)
  }

  func introduce(label: String, command: String) {
    clients.change(id) {
      $0.label = Client.capped(label)
      $0.command = Client.capped(command)
    }
  }

  func countCall() {
    clients.change(id) { $0.callCount += 1 }
  }

  /// Notes that a call was answered, and what it needed is free.
  func endCall() {
    clients.endCall()
  }

  func countLeases(_ count: Int) {
    clients.change(id) { $0.leaseCount = count }
  }

  /// What clients say of themselves is shown to people: short, and without control characters.
  ///
  /// Short as it is shown: an escaped character takes several bytes, and there may be thousands of texts.
  static func capped(_ text: String) -> String {
    let maximumByteCount = 256
    let shown = Name(String(decoding: text.utf8.prefix(maximumByteCount), as: UTF8.self))
      .description
    return String(decoding: shown.utf8.prefix(maximumByteCount), as: UTF8.self)
  }
}

/// Everybody who is connected.
package final class Clients: Sendable {
  /// What is known of a connection.
  struct Record: Sendable {
    let id: UInt64
    let socket: Weak
    let peer: Socket.Peer
    let endpoint: Endpoint
    var label = ""
    var command = ""
    var callCount = 0
    var leaseCount = 0
    var fileCount = 0
  }

  /// Does not keep a connection open.
  struct Weak: Sendable {
    weak let socket: Socket?
  }

  private struct Usage: Sendable {
    let uid: UInt32
    /// By either socket: the user is known as long as there is one.
    var connectionCount = 0
    /// By the socket of administration, where a user's limit does not hold.
    var administrationCount = 0
    var taken = [Int](repeating: 0, count: Share.allCases.count)
  }

  // Arrays: the first dictionary of a type makes the runtime look through all conformances there
  // are, while the connection that activated the daemon waits.
  private struct State {
    /// By ascending id.
    var records: [Record] = []
    /// Of the users who are connected.
    var usages: [Usage] = []
    var administrationCount = 0
    var lastID: UInt64 = 0
    var endedCallCount = 0

    func position(of id: UInt64) -> Int? {
      var low = 0
      var high = records.count
      while low < high {
        let middle = (low + high) / 2
        if records[middle].id < id { low = middle + 1 } else { high = middle }
      }
      return low < records.count && records[low].id == id ? low : nil
    }

    func usage(of uid: UInt32) -> Int? { usages.firstIndex { $0.uid == uid } }

    /// Throws `quota` unless one more connection of a user fits, who may have some already.
    func expectRoom(
      for endpoint: Endpoint, _ usage: Usage?, _ limits: Limits
    ) throws(Problem) {
      switch endpoint {
      case .administration:
        guard administrationCount < limits.administrationConnections else {
          throw Problem(
            .quota, "administrators have \(administrationCount) connections, their limit")
        }
      case .clients:
        guard records.count - administrationCount < limits.connections else {
          throw Problem(.quota, "the daemon has \(limits.connections) connections, its limit")
        }
        guard let usage else { return }
        let own = usage.connectionCount - usage.administrationCount
        guard own < limits.connectionsPerUser else {
          throw Problem(.quota, "user \(usage.uid) has \(own) connections, the limit for one user")
        }
      }
    }
  }

  private let limits: Limits
  /// Called when somebody has gone.
  private let changed: @Sendable () -> Void
  // Invariant: a record exists as long as its `Client`; usage is the sum of its user's records.
  private let state = Monitor(State())

  package init(_ limits: Limits, changed: @escaping @Sendable () -> Void) {
    self.limits = limits
    self.changed = changed
  }

  /// Admits a connection, or throws why not.
  package func admit(_ socket: Socket, by endpoint: Endpoint) throws(Problem) -> Client {
    let peer: Socket.Peer
    do { peer = try socket.peer() } catch {
      throw Problem(.system, "the client's credentials cannot be read: \(error)")
    }
    let id = try state.withLock { state throws(Problem) in
      let known = state.usage(of: peer.uid)
      try state.expectRoom(for: endpoint, known.map { state.usages[$0] }, limits)
      let usage = known ?? state.usages.count
      if known == nil { state.usages.append(Usage(uid: peer.uid)) }
      state.usages[usage].connectionCount += 1
      if endpoint == .administration {
        state.usages[usage].administrationCount += 1
        state.administrationCount += 1
      }
      state.lastID += 1
      state.records.append(
        Record(id: state.lastID, socket: Weak(socket: socket), peer: peer, endpoint: endpoint))
      return state.lastID
    }
    return Client(id, socket, peer, endpoint, in: self)
  }

  fileprivate func take(_ count: Int, of share: Share, for client: Client) throws(Problem) {
    let uid = client.peer.uid
    let limit = limits[share]
    try state.withLock { state throws(Problem) in
      // Its connection counts, so there is one.
      guard let usage = state.usage(of: uid) else { return }
      let taken = state.usages[usage].taken[share.rawValue]
      guard count <= limit - taken else {
        throw Problem(
          .quota, "user \(uid) has \(taken) \(share), the limit for one user is \(limit)")
      }
      state.usages[usage].taken[share.rawValue] += count
      guard share == .files, let position = state.position(of: client.id) else { return }
      state.records[position].fileCount += count
    }
  }

  fileprivate func giveBack(_ count: Int, of share: Share, for client: Client) {
    state.withLock { state in
      guard let usage = state.usage(of: client.peer.uid) else { return }
      state.usages[usage].taken[share.rawValue] -= count
      guard share == .files, let position = state.position(of: client.id) else { return }
      state.records[position].fileCount -= count
    }
  }

  fileprivate func endCall() {
    state.withLock { $0.endedCallCount += 1 }
  }

  fileprivate func change(_ id: UInt64, _ change: (inout Record) -> Void) {
    state.withLock { state in
      guard let position = state.position(of: id) else { return }
      change(&state.records[position])
    }
  }

  fileprivate func remove(_ id: UInt64) {
    // Those who wait for everybody to be gone wait here.
    state.notifying { state in
      guard let position = state.position(of: id) else { return }
      let record = state.records.remove(at: position)
      guard let usage = state.usage(of: record.peer.uid) else { return }
      state.usages[usage].connectionCount -= 1
      if record.endpoint == .administration {
        state.usages[usage].administrationCount -= 1
        state.administrationCount -= 1
      }
      state.usages[usage].taken[Share.files.rawValue] -= record.fileCount
      if state.usages[usage].connectionCount == 0 { state.usages.remove(at: usage) }
    }
    changed()
  }

  package var count: Int { state.withLock { $0.records.count } }

  /// The calls that have been answered, of all connections since the daemon started.
  var endedCallCount: Int { state.withLock { $0.endedCallCount } }

  /// What is known of the connections, of all users or of one.
  func records(ofUser uid: UInt32? = nil) -> [Record] {
    state.withLock { state in
      state.records.filter { uid == nil || $0.peer.uid == uid }
    }
  }

  /// Ends reading on every connection: idle threads wake and end, calls in flight are cancelled.
  func hangUp() {
    for record in records() { record.socket.socket?.shutDown(writingToo: false) }
  }

  /// Waits until nobody is connected; false at the deadline.
  func waitUntilGone(until deadline: Deadline) -> Bool {
    state.wait(until: deadline) { $0.records.isEmpty ? true : nil } ?? false
  }
}
