import WarmstartKernel
import WarmstartStore

/// The socket that a client connected to, which decides what the client may do.
package enum Endpoint: Sendable, Hashable {
  case clients
  /// The socket that only administrators can open.
  case administration
  /// The socket that monitoring systems ask for the metrics, over HTTP.
  case metrics
}

/// What a connection has made or holds, which its thread counts without a lock.
struct Counts: Sendable {
  let calls = AtomicNumber()
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
  let clients: Clients
  let counts: Counts

  init(
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
