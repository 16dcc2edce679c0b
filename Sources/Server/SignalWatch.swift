import SystemPackage
import WarmstartKernel

/// Takes signals on a thread of its own, so that the process ends even if the main loop hangs.
final class SignalWatch: Sendable {
  /// What signals have asked the main loop for.
  private struct Orders {
    var mustStop = false
    var mustReport = false
  }

  /// How long the main loop may take beside draining until the process ends without it.
  private static let patienceMilliseconds = 2000

  private let signals: Signals
  private let orders = Monitor(Orders())

  init(_ signals: Signals) {
    self.signals = signals
  }

  /// Starts the thread; `wakeUp` has the main loop look at the orders.
  ///
  /// A signal that came before waits for it. `hangs` is called, and must not return, if the main loop
  /// has not ended the process in time after it was told to stop.
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

  /// Whether a report was asked for since the last time.
  func takeReportOrder() -> Bool {
    orders.withLock { orders in
      defer { orders.mustReport = false }
      return orders.mustReport
    }
  }

  /// Waits for a signal and notes what it asks for; returns whether that is to stop.
  private func takeSignal() -> Bool {
    var poll = Poll()
    poll.add(signals.descriptor, for: .readable)
    _ = try? poll.wait(until: .never)
    let signal = signals.next()
    return orders.withLock { orders in
      switch signal {
      case .terminate, .interrupt: orders.mustStop = true
      case .user1: orders.mustReport = true
      // A hang-up says that a terminal is gone, or asks to read a configuration: there is none.
      case .hangUp, nil: break
      }
      return orders.mustStop
    }
  }
}
