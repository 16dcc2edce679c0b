package import Kernel
import Store
package import SystemPackage
import TensorModel

/// The main thread: accepts, watches for signals, keeps the status line and the store tidy.
package struct MainLoop {
  /// What leaves freed memory behind as it changes.
  private struct Footprint: Hashable {
    var connections = 0
    var calls = 0
    var residents = 0
  }

  /// How often the store is swept, and freed memory given back, while there is anything to look at.
  private static let sweepMilliseconds = 2000
  /// The status line changes at most this often.
  private static let statusMilliseconds = 250
  /// How long accepting rests when the process has run out of descriptors.
  private static let restMilliseconds = 100

  private let daemon: Daemon
  private let listeners: [(socket: Socket, endpoint: Endpoint)]
  private let workers: Workers
  private var status = ""
  private var statusDue = Deadline.after(milliseconds: 0)
  private var restUntil = Deadline.after(milliseconds: 0)
  /// What there was when freed memory was given back.
  private var swept = Footprint()
  private var sweepDue = Deadline.after(milliseconds: MainLoop.sweepMilliseconds)

  /// Makes the loop of a daemon; the listeners must not block.
  package init(_ daemon: Daemon, _ listeners: [(socket: Socket, endpoint: Endpoint)]) {
    self.daemon = daemon
    self.listeners = listeners
    workers = Workers { daemon.serve($0, $1) }
  }

  /// Serves until a signal says stop; returns whether everything ended in time.
  package mutating func run(_ signals: borrowing Signals) throws(Errno) -> Bool {
    daemon.supervisor.ready()
    while true {
      updateStatus()
      var poll = Poll()
      poll.add(signals.descriptor, for: .readable)
      poll.add(daemon.wakeUp.descriptor, for: .readable)
      let isResting = !restUntil.hasPassed
      if !isResting {
        for listener in listeners { poll.add(listener.socket.descriptor, for: .readable) }
      }
      _ = try poll.wait(until: nextDeadline(isResting: isResting))
      daemon.supervisor.ping()
      if poll.seen(0).contains(.readable), let signal = signals.next(), signal != .hangUp {
        if signal != .user1 { break }
        daemon.supervisor.warn("state: \(daemon.summary)")
      }
      if poll.seen(1).contains(.readable) { daemon.wakeUp.reset() }
      if !isResting {
        for (position, listener) in listeners.enumerated()
        where poll.seen(position + 2).contains(.readable) {
          accept(listener.socket, listener.endpoint)
        }
      }
      if sweepDue.hasPassed { sweep() }
    }
    daemon.supervisor.stopping()
    return daemon.drain()
  }

  private func nextDeadline(isResting: Bool) -> Deadline {
    var next = Deadline.never
    if isResting { next = min(next, restUntil) }
    if let milliseconds = daemon.supervisor.pingMilliseconds {
      next = min(next, .after(milliseconds: milliseconds))
    }
    let footprint = footprint
    if footprint != swept || footprint.connections > 0 || footprint.residents > 0 {
      next = min(next, sweepDue)
    }
    if daemon.summary != status { next = min(next, statusDue) }
    return next
  }

  private var footprint: Footprint {
    Footprint(
      connections: daemon.clients.count, calls: daemon.clients.callCount,
      residents: daemon.store.residents.count)
  }

  /// Drops what was unused for long; what was freed since the last time goes back to the kernel.
  private mutating func sweep() {
    daemon.store.sweep()
    if footprint != swept {
      // Noted first: what is freed meanwhile is for the next time.
      swept = footprint
      Process.giveBackFreedMemory()
    }
    sweepDue = .after(milliseconds: MainLoop.sweepMilliseconds)
  }

  private mutating func updateStatus() {
    let summary = daemon.summary
    guard summary != status, statusDue.hasPassed else { return }
    status = summary
    daemon.supervisor.status(summary)
    statusDue = .after(milliseconds: MainLoop.statusMilliseconds)
  }

  private mutating func accept(_ listener: Socket, _ endpoint: Endpoint) {
    do {
      // One at a time: the others are still waiting when the loop comes back.
      let socket = try listener.accept()
      guard let client = daemon.admit(socket, by: endpoint) else { return }
      do { try workers.take(client) } catch {
        daemon.refuse(socket, Problem(.quota, "no thread can be started: \(error)"))
      }
    } catch .wouldBlock {
      return
    } catch .connectionAbort {
      return
    } catch {
      // Out of descriptors: accepting again at once would spin.
      daemon.supervisor.warn("cannot accept a connection: \(error)")
      restUntil = .after(milliseconds: MainLoop.restMilliseconds)
    }
  }
}
