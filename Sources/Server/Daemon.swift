package import SystemPackage
import WarmstartCheckpoint
package import WarmstartKernel
import WarmstartMessages
package import WarmstartStore
import WarmstartTensorModel
package import WarmstartWire

/// The daemon: accepts connections, admits them within limits, and answers their calls.
package final class Daemon: Sendable {
  /// The version that `Hello` reports.
  package static let version = "0.1.0"
  /// The features that calls may require.
  static let features = [
    "sealed", "strides", "object_names", "read_again", "require_all", "gather", "plan_only",
    "progress", "names", "expect", "separator",
  ]

  /// What came of reading the configuration again.
  package enum ReloadOutcome: Sendable {
    /// The limits that hold from now on.
    case limits(Limits)
    /// The sentence that says why everything stays as it was.
    case refused(String)
  }

  /// How the daemon reports its state to the service manager, or to a test.
  package struct Supervisor: Sendable {
    /// Called when the daemon is ready for clients.
    package var ready: @Sendable () -> Void
    /// Called with the line that describes the state, when it has changed.
    package var status: @Sendable (String) -> Void
    /// Called when the daemon begins to stop.
    package var stopping: @Sendable () -> Void
    /// Called by the main loop, while it is alive, at least every `pingMilliseconds`.
    package var ping: @Sendable () -> Void
    /// nil if no watchdog is set.
    package var pingMilliseconds: Int?
    /// Writes a warning to the log.
    package var warn: @Sendable (String) -> Void
    /// Called as soon as a signal asks for a reload; `ready` follows when it is done.
    package var reloading: @Sendable () -> Void
    /// Reads the configuration again, and logs what came of it.
    package var reload: @Sendable () -> ReloadOutcome

    package init(
      ready: @escaping @Sendable () -> Void, status: @escaping @Sendable (String) -> Void,
      stopping: @escaping @Sendable () -> Void, ping: @escaping @Sendable () -> Void,
      pingMilliseconds: Int?, warn: @escaping @Sendable (String) -> Void,
      reloading: @escaping @Sendable () -> Void = {},
      reload: @escaping @Sendable () -> ReloadOutcome = { .refused("there is no configuration") }
    ) {
      self.ready = ready
      self.status = status
      self.stopping = stopping
      self.ping = ping
      self.pingMilliseconds = pingMilliseconds
      self.warn = warn
      self.reloading = reloading
      self.reload = reload
    }
  }

  package let store: Store
  let limits: CurrentLimits
  let clients: Clients
  /// The calls of one user that run at a time; a call that waits for something does not count.
  let callSlots = Slots(countPerUser: max(4, 2 * Process.processorCount))
  let started = MonotonicClock.nanoseconds()
  let supervisor: Supervisor
  /// Wakes the main loop, which then looks at the state again.
  let wakeUp: Event
  /// When the main loop will look at the state by itself; `never` while it is looking.
  let nextLook: Monitor<Deadline>
  /// How late the main loop may notice a change: as late as the status line shows it.
  static let patienceMilliseconds = 250
  private let draining = Monitor(false)
  private let complaints = Monitor(Complaints())

  package init(_ store: Store, _ supervisor: Supervisor) throws(Errno) {
    self.store = store
    limits = store.limits
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

  /// Serves one connection; blocks until it ends.
  package func serve(_ client: Client, _ memory: Connection.Memory) {
    Session(client, of: self, memory).run()
  }

  /// Admits a connection, or refuses it with a reply that says why.
  ///
  /// Tests name the peer; otherwise the kernel does.
  package func admit(
    _ socket: Socket, by endpoint: Endpoint, as peer: Socket.Peer? = nil
  ) -> Client? {
    let known: Socket.Peer
    do { known = if let peer { peer } else { try socket.peer() } } catch {
      refuse(
        socket, nil, Problem(.system, "the client's credentials cannot be read: \(error)"))
      return nil
    }
    do {
      return Client(socket, at: try place(known, by: endpoint))
    } catch {
      refuse(socket, known, error)
      return nil
    }
  }

  /// Gives a connection a place; throws if the daemon is stopping or a limit is reached.
  func place(_ peer: Socket.Peer, by endpoint: Endpoint) throws(Problem) -> Place {
    if isDraining { throw Problem(.draining, "the daemon is stopping") }
    return try clients.admit(peer, by: endpoint)
  }

  /// Sends a client the reason for which it is refused, and logs the refusal; the peer is nil if
  /// its credentials cannot be read.
  func refuse(_ socket: Socket, _ peer: Socket.Peer?, _ problem: Problem) {
    let refused = peer.map { "process \($0.pid) of user \($0.uid)" } ?? "a connection"
    complain("refused \(refused): \(problem.message)")
    // The frame fits a new socket's buffer; a client that is gone needs no answer.
    try? Responder(Connection(socket), 0).fail(CallStatus(problem))
  }

  /// Logs that no connection can be accepted now.
  func noteRefusedConnection(_ complaint: String) {
    complain(complaint)
  }

  func noteBrokenSession(_ client: Client, _ error: WireError) {
    complain(
      "ended the session of process \(client.peer.pid) of user \(client.peer.uid): \(error)")
  }

  /// Logs that a client speaks HTTP on the socket, once for each user.
  func noteHTTP(_ client: Client) {
    let uid = client.peer.uid
    let text = complaints.withLock {
      $0.add(
        "process \(client.peer.pid) of user \(uid) speaks HTTP on Warmstart's socket",
        about: "http \(uid)")
    }
    if let text { supervisor.warn(text) }
  }

  /// Logs that a checkpoint's files are damaged, once for each generation of them.
  func noteDamage(_ status: CallStatus, to checkpoint: Holdings.Subject) {
    let generation = checkpoint.generation.description
    let label = checkpoint.label.isEmpty ? generation : checkpoint.label
    let complaint =
      "checkpoint \(label), opened by user \(checkpoint.openedBy): "
      + "\(status.code.name) (\(status.reason)): \(Client.capped(status.message))"
    let text = complaints.withLock { $0.add(complaint, about: generation) }
    if let text { supervisor.warn(text) }
  }

  /// Logs that a user was refused memory or files, once for each user and reason.
  func noteRefusal(_ status: CallStatus, to client: Client) {
    let uid = client.peer.uid
    let complaint =
      "refused process \(client.peer.pid) of user \(uid): \(status.code.name) "
      + "(\(status.reason)): \(status.message.printable)"
    let text = complaints.withLock {
      $0.add(complaint, about: "refusal \(uid) \(status.reason)")
    }
    if let text { supervisor.warn(text) }
  }

  /// Logs which checkpoints lost their pin because their index was deleted, and which names cannot be
  /// used any more, since the last call.
  package func noteLostPins() {
    for name in store.takeLostNames() { supervisor.warn(Client.capped(name)) }
    for pin in store.takeEndingPins() { supervisor.warn(Client.capped(pin)) }
    for name in store.takeLostPins() {
      supervisor.warn(
        "checkpoint \(Client.capped(name)) is no longer pinned, because its index file was deleted or "
          + "replaced; if a new checkpoint is there, pin that one")
    }
  }

  /// Logs which pinned checkpoints were warmed up again since the last call.
  package func noteRewarmed() {
    for pin in store.takeRewarmed() {
      supervisor.warn(
        "warmed up pinned checkpoint \(Client.capped(pin.name)) again, because the kernel had taken "
          + "about \(pin.byteCount >> 20) MiB of its files from the page cache")
    }
  }

  /// Logs a complaint about a client, within the limits that `Complaints` sets.
  private func complain(_ complaint: String) {
    guard let text = complaints.withLock({ $0.add(complaint) }) else { return }
    supervisor.warn(text)
  }

  /// Stops admitting connections, hangs up, and waits for the calls in flight.
  ///
  /// - Returns: Whether all calls ended in time.
  package func drain() -> Bool {
    draining.withLock { $0 = true }
    clients.hangUp()
    return clients.waitUntilGone(until: .after(milliseconds: limits.now.drainMilliseconds))
  }
}
