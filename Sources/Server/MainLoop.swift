package import SystemPackage
package import WarmstartKernel
import WarmstartStore
import WarmstartSystemd
import WarmstartTensorModel

/// The main thread: accepts connections, obeys signals, updates the status line, sweeps the store.
package struct MainLoop {
  /// Numbers whose change means that memory was freed.
  private struct Footprint: Hashable {
    var connections = 0
    var endedCalls = 0
    var residents = 0
  }

  /// How often the store is swept, and freed memory given back, while there are connections or
  /// residents.
  private static let sweepMilliseconds = 2000
  /// How long accepting rests when the process has run out of descriptors.
  private static let restMilliseconds = 100

  private let daemon: Daemon
  private let listeners: [(socket: Socket, endpoint: Endpoint)]
  private let workers: Workers
  private var status = ""
  /// When the status line is due; not at once, because the first client waits already.
  private var statusDue: Deadline? = .after(milliseconds: Daemon.patienceMilliseconds)
  private var heartbeat: Heartbeat
  private let reloading: Reloading
  /// Why the last reload was refused, for the status line.
  private var refusal = ""
  /// The settings that wait for a restart, for the status line.
  private var waiting = ""
  private var restUntil = Deadline.after(milliseconds: 0)
  /// The footprint when freed memory was last given back.
  private var swept = Footprint()
  private var sweepDue = Deadline.after(milliseconds: MainLoop.sweepMilliseconds)

  /// Makes the loop of a daemon; the listeners must not block.
  package init(_ daemon: Daemon, _ listeners: [(socket: Socket, endpoint: Endpoint)]) {
    self.daemon = daemon
    self.listeners = listeners
    let heartbeat = Heartbeat(milliseconds: daemon.supervisor.pingMilliseconds)
    self.heartbeat = heartbeat
    workers = Workers { handover, place, memory in
      guard let socket = handover.take() else { return }
      daemon.serve(Client(socket, at: place), memory)
    } check: { [answer = heartbeat.answer] in
      // Takes the locks of all connections and of the store.
      _ = daemon.summary
      answer.give()
      daemon.wakeUp.signal()
    }
    reloading = Reloading(wakeUp: daemon.wakeUp, daemon.supervisor.reload)
  }

  /// Serves until a signal says stop; returns whether everything ended in time.
  ///
  /// The loop touches no client's file and owns no connection that may bring one: a file that does
  /// not answer can only hang other threads.
  ///
  /// - Parameter cleanUp: Called before the process ends because the loop hangs after a signal.
  package mutating func run(
    _ signals: Signals, cleanUp: @escaping @Sendable () -> Void = {}
  ) throws(Errno) -> Bool {
    let watch = SignalWatch(signals, reloading: daemon.supervisor.reloading)
    var isWatching = false
    daemon.supervisor.ready()
    while !watch.mustStop {
      daemon.nextLook.withLock { $0 = .never }
      if let due = statusDue, due.hasPassed {
        // Not before, unless there is one: the client that activated the daemon waits.
        if !isWatching {
          try start(watch, cleanUp)
          isWatching = true
        }
        updateStatus()
      }
      var poll = Poll()
      poll.add(daemon.wakeUp.descriptor, for: .readable)
      let isResting = !restUntil.hasPassed
      if !isResting {
        for listener in listeners { poll.add(listener.socket.descriptor, for: .readable) }
      }
      if !isWatching { poll.add(signals.descriptor, for: .readable) }
      let deadline = nextDeadline(isResting: isResting)
      daemon.nextLook.withLock { $0 = deadline }
      _ = try poll.wait(until: deadline)
      beat()
      // At once: a reload whose end the service manager shall wait for must be reported soon.
      if !isWatching, poll.seen(isResting ? 1 : listeners.count + 1).contains(.readable) {
        try start(watch, cleanUp)
        isWatching = true
      }
      if watch.takeReloadOrder() { reloading.order() }
      if let outcome = reloading.takeOutcome() { adopt(outcome) }
      if watch.takeReportOrder() {
        daemon.supervisor.log(LogEvent(.stateReport, "state: \(daemon.summary)"))
      }
      if poll.seen(0).contains(.readable) {
        daemon.wakeUp.reset()
        noteChange()
      }
      if !isResting {
        for (position, listener) in listeners.enumerated()
        where poll.seen(position + 1).contains(.readable) {
          accept(listener.socket, listener.endpoint)
        }
      }
      if sweepDue.hasPassed { sweep() }
      if suppressedDue.hasPassed { daemon.noteSuppressed() }
    }
    daemon.supervisor.stopping()
    daemon.store.leave()
    daemon.noteLostPins()
    let endedInTime = daemon.drain()
    daemon.noteSuppressed()
    // Threads that hang in the kernel would keep this memory for as long as they do.
    _ = daemon.store.evictAll(because: nil)
    return endedInTime
  }

  private func start(
    _ watch: SignalWatch, _ cleanUp: @escaping @Sendable () -> Void
  ) throws(Errno) {
    try watch.start(
      drainMilliseconds: daemon.limits.now.drainMilliseconds, wakeUp: daemon.wakeUp
    ) {
      // Nothing is written: the main loop may hang where it writes.
      cleanUp()
      Process.exitNow(1)
    }
  }

  private func nextDeadline(isResting: Bool) -> Deadline {
    var next = Deadline.never
    if isResting { next = min(next, restUntil) }
    next = min(next, heartbeat.due)
    let footprint = footprint
    if footprint != swept || footprint.connections > 0 || footprint.residents > 0 {
      next = min(next, sweepDue)
    }
    if let statusDue { next = min(next, statusDue) }
    return min(next, suppressedDue)
  }

  /// When the log must say what was left out of it.
  private var suppressedDue: Deadline { daemon.complaints.withLock { $0.due } }

  private var footprint: Footprint {
    Footprint(
      connections: daemon.clients.count, endedCalls: daemon.clients.endedCallCount,
      residents: daemon.store.residentCount)
  }

  /// Evicts checkpoints that were unused for long, and gives freed memory back to the kernel.
  private mutating func sweep() {
    daemon.store.sweep()
    daemon.noteLostPins()
    daemon.noteRewarmed()
    noteChange()
    if footprint != swept {
      // Noted first: the next sweep gives back what is freed meanwhile.
      swept = footprint
      Process.giveBackFreedMemory()
    }
    sweepDue = .after(milliseconds: MainLoop.sweepMilliseconds)
  }

  /// Feeds the service manager's watchdog when that is due, however busy the loop is.
  private mutating func beat() {
    switch heartbeat.beat() {
    case .nothing: break
    case .ping: daemon.supervisor.ping()
    // If no thread can be started, the others still serve: that is no reason to end them.
    case .check: do { try workers.runCheck() } catch { heartbeat.answer.give() }
    case .complaint:
      daemon.supervisor.log(
        LogEvent(
          .stuck,
          "no worker thread answers: the service manager will soon end the daemon, and start another"
        ))
    }
  }

  /// Observes the limits of a reload, or keeps the old ones, and reports that the reload is done.
  private mutating func adopt(_ outcome: Daemon.ReloadOutcome) {
    switch outcome {
    case .limits(let limits, let settings):
      daemon.store.adopt(limits)
      refusal = ""
      waiting = Daemon.waitingText(settings)
    case .refused(let reason): refusal = "; reload refused: \(reason)"
    }
    updateStatus()
    daemon.supervisor.ready()
  }

  /// Has the status line updated soon, together with what else changes until then.
  private mutating func noteChange() {
    statusDue = statusDue ?? .after(milliseconds: Daemon.patienceMilliseconds)
  }

  private mutating func updateStatus() {
    statusDue = nil
    let summary = daemon.summary + waiting + refusal
    guard summary != status else { return }
    status = summary
    daemon.supervisor.status(summary)
  }

  private mutating func accept(_ listener: Socket, _ endpoint: Endpoint) {
    do {
      // One at a time: the next connection still waits when the loop comes back.
      let descriptor = try listener.accept()
      let peer = try Socket.peer(of: descriptor)
      let handover = Handover(descriptor)
      do throws(Problem) {
        let place = try daemon.place(peer, by: endpoint)
        noteChange()
        do { try workers.take(handover, at: place) } catch {
          throw Problem(.quota, "no thread can be started: \(error)")
        }
      } catch {
        refuse(handover, of: peer, by: endpoint, error)
      }
    } catch .wouldBlock {
      return
    } catch .connectionAbort {
      return
    } catch {
      // Out of descriptors: accepting again at once would spin.
      daemon.noteRefusedConnection("cannot accept a connection: \(error)")
      if error == .tooManyOpenFiles { _ = daemon.store.evictAll(because: .room) }
      restUntil = .after(milliseconds: MainLoop.restMilliseconds)
    }
  }

  /// The most connections of one user that wait to be refused; the main loop refuses the others.
  ///
  /// Chosen, not tuned.
  private static let maximumRefusalCount = 1024

  /// Has a connection refused by the thread that touches its user's files, which it may bring.
  private func refuse(
    _ handover: Handover, of peer: Socket.Peer, by endpoint: Endpoint, _ problem: Problem
  ) {
    let refuse = { @Sendable [daemon] (isNamed: Bool) in
      guard let socket = handover.take() else { return }
      daemon.refuse(socket, of: peer, by: endpoint, isNamed: isNamed, problem)
    }
    let reaper = daemon.store.reaper
    if reaper.waitingCount(for: peer.uid) < MainLoop.maximumRefusalCount {
      reaper.run(for: peer.uid) { refuse(true) }
    } else {
      refuse(false)
    }
  }
}
