internal import WarmstartKernel
package import WarmstartServer
package import WarmstartStore
internal import WarmstartWire

/// A daemon inside this process, whose connections are socket pairs.
package final class ServedDaemon: Sendable {
  private struct State {
    var sessionCount = 0
    var warnings: [String] = []
  }

  package let daemon: Daemon
  private let state: Monitor<State>

  /// Makes a daemon that forgets a checkpoint as soon as nobody holds it.
  package init(
    _ limits: Limits = Limits(), budget: Int = 1 << 30, lingerMilliseconds: Int = 0
  ) throws {
    let state = Monitor(State())
    self.state = state
    let supervisor = Daemon.Supervisor(
      ready: {}, status: { _ in }, stopping: {}, ping: {}, pingMilliseconds: nil,
      warn: { warning in state.withLock { $0.warnings.append(warning) } })
    daemon = try Daemon(
      Store(budget: budget, lingerMilliseconds: lingerMilliseconds), limits, supervisor)
  }

  /// What an operator was told.
  package var warnings: [String] { state.withLock { $0.warnings } }

  /// Connects; whether the daemon admits the connection shows when the peer speaks.
  ///
  /// The client is of this process's user, or of the one that is given.
  package func connect(
    _ endpoint: Endpoint = .clients, as uid: UInt32? = nil
  ) throws -> Peer {
    let (near, far) = try Socket.pair()
    let peer = uid.map { Socket.Peer(uid: $0, gid: $0, pid: 1) }
    if let client = daemon.admit(far, by: endpoint, as: peer) {
      state.withLock { $0.sessionCount += 1 }
      let waiting = Monitor<Client?>(client)
      try Thread.detach { [daemon, state] in
        // The client ends with the session, before anybody is told.
        while let client = waiting.withLock({ $0.take() }) {
          daemon.serve(client, Connection.Memory())
        }
        state.notifying { $0.sessionCount -= 1 }
      }
    }
    return Peer(near)
  }

  /// Waits until no more than that many sessions go on; false if that takes too long.
  package func settles(
    atMost sessionCount: Int = 0, within milliseconds: Int = 20_000
  ) -> Bool {
    state.wait(until: .after(milliseconds: milliseconds)) { state in
      state.sessionCount <= sessionCount ? true : nil
    } ?? false
  }
}
