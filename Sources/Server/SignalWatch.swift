import SystemPackage
import WarmstartKernel

/// Takes signals on a thread of its own, so that the process ends even if the main loop hangs.
final class SignalWatch: Sendable {
  /// What signals have asked the main loop to do.
  private struct Orders {
    var mustStop = false
    var mustReport = false
    var mustReload = false
  }

  /// How long the main loop may take to stop, beside draining, before the process ends without it.
  private static let patienceMilliseconds = 2000

  private let signals: Signals
  /// Called at once when a signal asks for a reload: the service manager waits for its end only if
  /// it knows of it before the command that sent the signal has ended.
  private let reloading: @Sendable () -> Void
  private let orders = Monitor(Orders())

  init(_ signals: Signals, reloading: @escaping @Sendable () -> Void) {
    self.signals = signals
    self.reloading = reloading
  }

  /// Starts the thread, which handles a signal that is already pending, too.
  ///
  /// - Parameters:
  ///   - drainMilliseconds: How long the main loop may drain.
  ///   - wakeUp: Wakes the main loop, which then looks at the orders.
  ///   - hangs: Called if the main loop has not ended the process in time.
  func start(
    drainMilliseconds: Int, wakeUp: Event, hangs: @escaping @Sendable () -> Never
  ) throws(Errno) {
    try Thread.detach { [self] in
      while !takeSignal() { wakeUp.signal() }
      wakeUp.signal()
      Thread.sleep(milliseconds: drainMilliseconds + SignalWatch.patienceMilliseconds)
      hangs()
    }
  }

  /// Whether the main loop must stop.
  var mustStop: Bool { orders.withLock { $0.mustStop } }

  /// Whether a signal has asked for a report since this was last called.
  func takeReportOrder() -> Bool {
    orders.withLock { orders in
      defer { orders.mustReport = false }
      return orders.mustReport
    }
  }

  /// Whether a signal has asked for a reload since this was last called.
  func takeReloadOrder() -> Bool {
    orders.withLock { orders in
      defer { orders.mustReload = false }
      return orders.mustReload
    }
  }

  /// Waits for a signal and records its order; returns whether the daemon must stop.
  private func takeSignal() -> Bool {
    var poll = Poll()
    poll.add(signals.descriptor, for: .readable)
    _ = try? poll.wait(until: .never)
    let signal = signals.next()
    if signal == .hangUp { reloading() }
    return orders.withLock { orders in
      switch signal {
      case .terminate, .interrupt: orders.mustStop = true
      case .user1: orders.mustReport = true
      case .hangUp: orders.mustReload = true
      case nil: break
      }
      return orders.mustStop
    }
  }
}
