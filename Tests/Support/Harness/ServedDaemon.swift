internal import WarmstartKernel
package import WarmstartServer
package import WarmstartStore
package import WarmstartSystemd
internal import WarmstartWire

/// A daemon inside this process, whose connections are socket pairs.
package final class ServedDaemon: Sendable {
  private struct State {
    var sessionCount = 0
    var events: [LogEvent] = []
  }

  package let daemon: Daemon
  private let state: Monitor<State>

  /// Makes a daemon that drops a checkpoint as soon as no client has it open.
  package init(
    _ limits: Limits = Limits(), budget: Int = 1 << 30, lingerMilliseconds: Int = 0
  ) throws {
    let state = Monitor(State())
    self.state = state
    let supervisor = Daemon.Supervisor(
      ready: {}, status: { _ in }, stopping: {}, ping: {}, pingMilliseconds: nil,
      log: { event in state.withLock { $0.events.append(event) } })
    var limits = limits
    limits.memoryByteCount = budget
    limits.lingerMilliseconds = lingerMilliseconds
    daemon = try Daemon(Store(limits), supervisor)
  }

  /// The events that the daemon logged.
  package var events: [LogEvent] { state.withLock { $0.events } }

  /// What the daemon logged beside what it reports of usual work.
  package var warnings: [String] {
    events.filter { $0.kind.level.rawValue <= Log.Level.notice.rawValue }.map(\.text)
  }

  /// Connects.
  ///
  /// The daemon's first answer shows whether it admits the connection.
  ///
  /// The client runs as this process's user, or as another that the test passes.
  package func connect(
    _ endpoint: Endpoint = .clients, as uid: UInt32? = nil
  ) throws -> Peer {
    let (near, far) = try Socket.pair()
    let peer = uid.map { Socket.Peer(uid: $0, gid: $0, pid: 1) }
    if let client = daemon.admit(far, by: endpoint, as: peer) {
      state.withLock { $0.sessionCount += 1 }
      let waiting = Monitor<Client?>(client)
      try Thread.detach { [daemon, state] in
        // The client ends with the session, before its end is reported.
        while let client = waiting.withLock({ $0.take() }) {
          daemon.serve(client, Connection.Memory())
        }
        state.notifying { $0.sessionCount -= 1 }
      }
    }
    return Peer(near)
  }

  /// Waits until at most a number of sessions are left; false if that takes too long.
  package func settles(
    atMost sessionCount: Int = 0, within milliseconds: Int = 20_000
  ) -> Bool {
    state.wait(until: .after(milliseconds: milliseconds)) { state in
      state.sessionCount <= sessionCount ? true : nil
    } ?? false
  }
}
