package import SystemPackage
package import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel

/// The main thread: accepts, watches for signals, keeps the status line and the store tidy.
package struct MainLoop {
  /// What leaves freed memory behind as it changes.
  private struct Footprint: Hashable {
    var connections = 0
    var endedCalls = 0
    var residents = 0
  }

  /// How often the store is swept, and freed memory given back, while there is anything to look at.
  private static let sweepMilliseconds = 2000
  /// How long accepting rests when the process has run out of descriptors.
  private static let restMilliseconds = 100

  private let daemon: Daemon
  private let listeners: [(socket: Socket, endpoint: Endpoint)]
  private let workers: Workers
  private var status = ""
  /// When the status line may have to change; not at once, for whoever is there waits already.
  private var statusDue: Deadline? = .after(milliseconds: Daemon.patienceMilliseconds)
  private var pingDue = Deadline.after(milliseconds: 0)
  private var restUntil = Deadline.after(milliseconds: 0)
  /// What there was when freed memory was given back.
  private var swept = Footprint()
  private var sweepDue = Deadline.after(milliseconds: MainLoop.sweepMilliseconds)

  /// Makes the loop of a daemon; the listeners must not block.
  package init(_ daemon: Daemon, _ listeners: [(socket: Socket, endpoint: Endpoint)]) {
    self.daemon = daemon
    self.listeners = listeners
    workers = Workers { handover, place, memory in
      guard let socket = handover.take() else { return }
      daemon.serve(Client(socket, at: place), memory)
    }
  }

  /// Serves until a signal says stop; returns whether everything ended in time.
  ///
  /// Touches no file of a client, and owns no connection that may bring some: whatever hangs, hangs
  /// elsewhere.
  ///
  /// `cleanUp` is called before the process is ended because this does not return after a signal.
  package mutating func run(
    _ signals: Signals, cleanUp: @escaping @Sendable () -> Void = {}
  ) throws(Errno) -> Bool {
    let watch = SignalWatch(signals)
    var isWatching = false
    daemon.supervisor.ready()
    while !watch.mustStop {
      daemon.nextLook.withLock { $0 = .never }
      if let due = statusDue, due.hasPassed {
        // Not before: whoever activated the daemon waits, and a signal can wait a little, too.
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
      let deadline = nextDeadline(isResting: isResting)
      daemon.nextLook.withLock { $0 = deadline }
      _ = try poll.wait(until: deadline)
      pingIfDue()
      if watch.takeReportOrder() { daemon.supervisor.warn("state: \(daemon.summary)") }
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
    }
    daemon.supervisor.stopping()
    let endedInTime = daemon.drain()
    // Threads that hang in the kernel would keep this memory for as long as they do.
    _ = daemon.store.evictAll()
    return endedInTime
  }

  private func start(
    _ watch: SignalWatch, _ cleanUp: @escaping @Sendable () -> Void
  ) throws(Errno) {
    try watch.start(
      drainMilliseconds: daemon.limits.drainMilliseconds, wakeUp: daemon.wakeUp
    ) {
      // Nothing is written: the main loop may hang where it writes.
      cleanUp()
      Process.exitNow(1)
    }
  }

  private func nextDeadline(isResting: Bool) -> Deadline {
    var next = Deadline.never
    if isResting { next = min(next, restUntil) }
    if daemon.supervisor.pingMilliseconds != nil { next = min(next, pingDue) }
    let footprint = footprint
    if footprint != swept || footprint.connections > 0 || footprint.residents > 0 {
      next = min(next, sweepDue)
    }
    if let statusDue { next = min(next, statusDue) }
    return next
  }

  private var footprint: Footprint {
    Footprint(
      connections: daemon.clients.count, endedCalls: daemon.clients.endedCallCount,
      residents: daemon.store.residentCount)
  }

  /// Drops what was unused for long; what was freed since the last time goes back to the kernel.
  private mutating func sweep() {
    daemon.store.sweep()
    noteChange()
    if footprint != swept {
      // Noted first: what is freed meanwhile is for the next time.
      swept = footprint
      Process.giveBackFreedMemory()
    }
    sweepDue = .after(milliseconds: MainLoop.sweepMilliseconds)
  }

  /// Tells whoever watches that the loop is alive, however busy it is, no more often than asked.
  private mutating func pingIfDue() {
    guard let milliseconds = daemon.supervisor.pingMilliseconds, pingDue.hasPassed else { return }
    daemon.supervisor.ping()
    pingDue = .after(milliseconds: milliseconds)
  }

  /// Lets the status line follow what has changed, and what else changes until then.
  private mutating func noteChange() {
    statusDue = statusDue ?? .after(milliseconds: Daemon.patienceMilliseconds)
  }

  private mutating func updateStatus() {
    statusDue = nil
    let summary = daemon.summary
    guard summary != status else { return }
    status = summary
    daemon.supervisor.status(summary)
  }

  private mutating func accept(_ listener: Socket, _ endpoint: Endpoint) {
    do {
      // One at a time: the others are still waiting when the loop comes back.
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
        refuse(handover, peer.uid, error)
      }
    } catch .wouldBlock {
      return
    } catch .connectionAbort {
      return
    } catch {
      // Out of descriptors: accepting again at once would spin.
      daemon.noteRefusedConnection("cannot accept a connection: \(error)")
      if error == .tooManyOpenFiles { _ = daemon.store.evictAll() }
      restUntil = .after(milliseconds: MainLoop.restMilliseconds)
    }
  }

  /// Connections of one user that wait to be refused; those beyond are closed by the main loop.
  ///
  /// Chosen, not tuned.
  private static let maximumRefusalCount = 1024

  /// Has a connection refused by the thread that touches its user's files: it may bring some.
  private func refuse(_ handover: Handover, _ uid: UInt32, _ problem: Problem) {
    let refuse = { @Sendable [daemon] in
      guard let socket = handover.take() else { return }
      daemon.refuse(socket, problem)
    }
    let reaper = daemon.store.reaper
    if reaper.waitingCount(for: uid) < MainLoop.maximumRefusalCount {
      reaper.run(for: uid, refuse)
    } else {
      refuse()
    }
  }
}
