import SystemPackage
import WarmstartKernel
import WarmstartWire

/// Threads that serve one connection after another; a few idle ones wait for the next connection.
///
/// They also run the watchdog's check, which shows that a connection would be served.
final class Workers: Sendable {
  /// How many idle threads are kept: starting a thread costs more than a call.
  private static let spareCount = 4

  private enum Job: Sendable {
    case serve(Handover, Place)
    case check

    func serves(_ handover: Handover?) -> Bool {
      guard case .serve(let mine, _) = self else { return handover == nil }
      return mine === handover
    }
  }

  private struct State {
    var waiting: [Job] = []
    var idleCount = 0
  }

  private let serve: @Sendable (Handover, Place, Connection.Memory) -> Void
  private let check: @Sendable () -> Void
  // Invariant: a job waits only if each idle thread was notified of one, or a thread is being
  // started.
  private let state = Monitor(State())

  init(
    _ serve: @escaping @Sendable (Handover, Place, Connection.Memory) -> Void,
    check: @escaping @Sendable () -> Void
  ) {
    self.serve = serve
    self.check = check
  }

  /// Gives a connection to an idle thread, or to a new one.
  func take(_ handover: Handover, at place: Place) throws(Errno) {
    try take(.serve(handover, place), of: handover)
  }

  /// Has a worker run the check.
  func runCheck() throws(Errno) { try take(.check, of: nil) }

  private func take(_ job: Job, of handover: Handover?) throws(Errno) {
    let needsThread = state.notifyingOne { state in
      state.waiting.append(job)
      return state.waiting.count > state.idleCount
    }
    guard needsThread else { return }
    do {
      try Thread.detach { [self] in run() }
    } catch {
      // An older thread may have taken the job meanwhile.
      let isWaiting = state.withLock { state in
        let index = state.waiting.firstIndex { $0.serves(handover) }
        if let index { state.waiting.remove(at: index) }
        return index != nil
      }
      if isWaiting { throw error }
    }
  }

  private func run() {
    let memory = Connection.Memory()
    while let job = next() {
      switch job {
      case .serve(let handover, let place): serve(handover, place, memory)
      case .check: check()
      }
    }
  }

  /// Waits for a connection; returns nil if enough other threads wait already.
  private func next() -> Job? {
    enum Turn {
      case work(Job)
      case idle
      case end
    }
    let turn: Turn = state.withLock { state in
      if !state.waiting.isEmpty { return .work(state.waiting.removeFirst()) }
      guard state.idleCount < Workers.spareCount else { return .end }
      state.idleCount += 1
      return .idle
    }
    switch turn {
    case .work(let job): return job
    case .end: return nil
    case .idle:
      return state.wait { state in
        guard !state.waiting.isEmpty else { return nil }
        state.idleCount -= 1
        return state.waiting.removeFirst()
      }
    }
  }
}
