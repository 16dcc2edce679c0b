package import SystemPackage
import WarmstartCheckpoint
package import WarmstartKernel
import WarmstartMessages
package import WarmstartStore
package import WarmstartSystemd
import WarmstartTensorModel
package import WarmstartWire

/// The daemon: accepts connections, admits them within limits, and answers their calls.
package final class Daemon: Sendable {
  /// The version that `Hello` reports.
  package static let version = "0.1.0"
  /// The features that calls may require.
  static let features = [
    "sealed", "strides", "object_names", "read_again", "require_all", "gather", "plan_only",
    "progress", "names", "expect", "separator", "cast", "transpose",
  ]

  /// What came of reading the configuration again.
  package enum ReloadOutcome: Sendable {
    /// The limits that hold from now on, and the changed settings that wait for a restart.
    case limits(Limits, waiting: [String])
    /// The sentence that says why everything stays as it was.
    case refused(String)
  }

  /// Settings that wait for a restart, worded to end a line, or nothing.
  package static func waitingText(_ settings: [String]) -> String {
    settings.isEmpty
      ? "" : "; \(settings.joined(separator: ", ")) must wait for a restart"
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
    /// Writes an event to the log.
    package var log: @Sendable (LogEvent) -> Void
    /// Called as soon as a signal asks for a reload; `ready` follows when it is done.
    package var reloading: @Sendable () -> Void
    /// Reads the configuration again, and logs what came of it.
    package var reload: @Sendable () -> ReloadOutcome

    package init(
      ready: @escaping @Sendable () -> Void, status: @escaping @Sendable (String) -> Void,
      stopping: @escaping @Sendable () -> Void, ping: @escaping @Sendable () -> Void,
      pingMilliseconds: Int?, log: @escaping @Sendable (LogEvent) -> Void,
      reloading: @escaping @Sendable () -> Void = {},
      reload: @escaping @Sendable () -> ReloadOutcome = { .refused("there is no configuration") }
    ) {
      self.ready = ready
      self.status = status
      self.stopping = stopping
      self.ping = ping
      self.pingMilliseconds = pingMilliseconds
      self.log = log
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
  let complaints = Monitor(Complaints())

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
    store.observe { [weak self] change in self?.note(change) }
  }

  var isDraining: Bool { draining.withLock { $0 } }

  /// Serves one connection; blocks until it ends.
  package func serve(_ client: Client, _ memory: Connection.Memory) {
    switch client.endpoint {
    case .clients, .administration: Session(client, of: self, memory).run()
    case .metrics: Scrape(client, of: self).run()
    }
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
        socket, of: nil, by: endpoint,
        Problem(.system, "the client's credentials cannot be read: \(error)"))
      return nil
    }
    do {
      return Client(socket, at: try place(known, by: endpoint))
    } catch {
      refuse(socket, of: known, by: endpoint, error)
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
  ///
  /// - Parameter isNamed: Whether there is time to ask the system for the user's name.
  func refuse(
    _ socket: Socket, of peer: Socket.Peer?, by endpoint: Endpoint, isNamed: Bool = true,
    _ problem: Problem
  ) {
    noteRefusedConnection(of: peer, isNamed: isNamed, problem)
    guard endpoint != .metrics else { return Scrape.refuse(socket) }
    // The frame fits a new socket's buffer; a client that is gone needs no answer.
    try? Responder(Connection(socket), 0).fail(CallStatus(problem))
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
