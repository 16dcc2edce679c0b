package import SystemPackage
import WarmstartCheckpoint
package import WarmstartKernel
import WarmstartMessages
package import WarmstartStore
import WarmstartTensorModel
package import WarmstartWire

/// The daemon: accepts connections, admits them within limits, and answers their calls.
package final class Daemon: Sendable {
  /// The version that clients are told.
  package static let version = "0.1.0"
  /// What calls may require.
  static let features = [
    "sealed", "strides", "object_names", "read_again", "require_all", "gather", "plan_only",
    "progress",
  ]

  /// How the daemon tells whoever started it what it does.
  package struct Supervisor: Sendable {
    /// Everything is ready for clients.
    package var ready: @Sendable () -> Void
    /// The line that describes the state has changed.
    package var status: @Sendable (String) -> Void
    /// The daemon begins to stop.
    package var stopping: @Sendable () -> Void
    /// The main loop is alive; called at least as often as `pingMilliseconds` says.
    package var ping: @Sendable () -> Void
    /// nil if nobody watches.
    package var pingMilliseconds: Int?
    /// Something an operator should know happened.
    package var warn: @Sendable (String) -> Void

    package init(
      ready: @escaping @Sendable () -> Void, status: @escaping @Sendable (String) -> Void,
      stopping: @escaping @Sendable () -> Void, ping: @escaping @Sendable () -> Void,
      pingMilliseconds: Int?, warn: @escaping @Sendable (String) -> Void
    ) {
      self.ready = ready
      self.status = status
      self.stopping = stopping
      self.ping = ping
      self.pingMilliseconds = pingMilliseconds
      self.warn = warn
    }
  }

  package let store: Store
  let limits: Limits
  let clients: Clients
  /// How many calls of one user run at a time; those that wait for something do not count.
  let callSlots = Slots(countPerUser: max(4, 2 * Process.processorCount))
  let started = MonotonicClock.nanoseconds()
  let supervisor: Supervisor
  /// Happens when the main loop should look at the state again.
  let wakeUp: Event
  /// When the main loop looks at the state the next time by itself; `never` while it looks.
  let nextLook: Monitor<Deadline>
  /// What may be noticed late by that: as late as the status line.
  static let patienceMilliseconds = 250
  private let draining = Monitor(false)
  private let complaints = Monitor(Complaints())

  package init(_ store: Store, _ limits: Limits, _ supervisor: Supervisor) throws(Errno) {
    self.store = store
    self.limits = limits
    self.supervisor = supervisor
    let wakeUp = try Event()
    self.wakeUp = wakeUp
    let nextLook = Monitor(Deadline.never)
    self.nextLook = nextLook
    clients = Clients(limits, store.accounts) {
      // Waking the loop for each connection that ends would cost more than the connection.
      let look = nextLook.withLock { $0 }
      let isSoon =
        look < .after(milliseconds: Daemon.patienceMilliseconds) && !look.hasPassed
      if !isSoon { wakeUp.signal() }
    }
  }

  var isDraining: Bool { draining.withLock { $0 } }

  /// Serves one connection until it ends.
  ///
  /// Blocks.
  package func serve(_ client: Client, _ memory: Connection.Memory) {
    Session(client, of: self, memory).run()
  }

  /// Admits a connection, or tells the client why not; tests say who is at the other end.
  package func admit(
    _ socket: Socket, by endpoint: Endpoint, as peer: Socket.Peer? = nil
  ) -> Client? {
    do throws(Problem) {
      let known: Socket.Peer
      do { known = if let peer { peer } else { try socket.peer() } } catch {
        throw Problem(.system, "the client's credentials cannot be read: \(error)")
      }
      return Client(socket, at: try place(known, by: endpoint))
    } catch {
      refuse(socket, error)
      return nil
    }
  }

  /// Gives a connection a place, or throws why not.
  func place(_ peer: Socket.Peer, by endpoint: Endpoint) throws(Problem) -> Place {
    if isDraining { throw Problem(.draining, "the daemon is stopping") }
    return try clients.admit(peer, by: endpoint)
  }

  /// Tells a client that it is not served, and an operator, once in a while.
  func refuse(_ socket: Socket, _ problem: Problem) {
    complain("refused a connection: \(problem.message)")
    // The frame fits a new socket's buffer; a client that is gone needs no answer.
    try? Responder(Connection(socket), 0).fail(CallStatus(problem))
  }

  /// Tells an operator that nobody can be accepted, once in a while.
  func noteRefusedConnection(_ complaint: String) {
    complain(complaint)
  }

  func noteBrokenSession(_ client: Client, _ error: WireError) {
    complain(
      "ended the session of process \(client.peer.pid) of user \(client.peer.uid): \(error)")
  }

  /// Tells an operator, once for each user, that a client takes the socket for a web server's.
  func noteHTTP(_ client: Client) {
    let uid = client.peer.uid
    let text = complaints.withLock {
      $0.add(
        "process \(client.peer.pid) of user \(uid) speaks HTTP on Warmstart's socket",
        about: "http \(uid)")
    }
    if let text { supervisor.warn(text) }
  }

  /// Tells an operator that a checkpoint's files are damaged, once for each state of them.
  func noteDamage(_ status: CallStatus, to checkpoint: Session.Subject) {
    let generation = checkpoint.generation.description
    let label = checkpoint.label.isEmpty ? generation : checkpoint.label
    let complaint =
      "checkpoint \(label), opened by user \(checkpoint.openedBy): "
      + "\(status.code.name) (\(status.reason)): \(Client.capped(status.message))"
    let text = complaints.withLock { $0.add(complaint, about: generation) }
    if let text { supervisor.warn(text) }
  }

  /// Tells an operator about a client, who may be one of many, or come again and again.
  private func complain(_ complaint: String) {
    guard let text = complaints.withLock({ $0.add(complaint) }) else { return }
    supervisor.warn(text)
  }

  /// Stops admitting, hangs up, and waits for calls in flight; false if some did not end in time.
  package func drain() -> Bool {
    draining.withLock { $0 = true }
    clients.hangUp()
    return clients.waitUntilGone(until: .after(milliseconds: limits.drainMilliseconds))
  }
}
