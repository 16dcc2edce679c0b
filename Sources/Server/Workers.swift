import SystemPackage
import WarmstartKernel
import WarmstartWire

/// Threads that serve one connection after another; a few idle ones wait for the next connection.
final class Workers: Sendable {
  /// How many idle threads are kept: starting a thread costs more than a call.
  private static let spareCount = 4

  private struct Job: Sendable {
    let handover: Handover
    let place: Place
  }

  private struct State {
    var waiting: [Job] = []
    var idleCount = 0
  }

  private let serve: @Sendable (Handover, Place, Connection.Memory) -> Void
  // Invariant: a job waits only if each idle thread was notified of one, or a thread is being started.
  private let state = Monitor(State())

  init(_ serve: @escaping @Sendable (Handover, Place, Connection.Memory) -> Void) {
    self.serve = serve
  }

  /// Gives a connection to an idle thread, or to a new one.
  func take(_ handover: Handover, at place: Place) throws(Errno) {
    let needsThread = state.notifyingOne { state in
      state.waiting.append(Job(handover: handover, place: place))
      return state.waiting.count > state.idleCount
    }
    guard needsThread else { return }
    do {
      try Thread.detach { [self] in run() }
    } catch {
      // An older thread may have taken the job meanwhile.
      let isWaiting = state.withLock { state in
        let index = state.waiting.firstIndex { $0.handover === handover }
        if let index { state.waiting.remove(at: index) }
        return index != nil
      }
      if isWaiting { throw error }
    }
  }

  private func run() {
    let memory = Connection.Memory()
    while let job = next() { serve(job.handover, job.place, memory) }
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
