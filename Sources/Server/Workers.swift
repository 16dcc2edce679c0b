import Kernel
import SystemPackage
import TensorModel
import Wire

/// Threads that serve one connection after another; a few wait for the next one.
final class Workers: Sendable {
  /// Threads that are kept though nobody needs them just now: starting one costs more than a call.
  private static let spareCount = 4

  /// Connections that wait to be refused; beyond that, closing them is the main loop's business.
  ///
  /// Chosen, not tuned.
  private static let maximumRefusalCount = 256

  private enum Job: Sendable {
    case serve(Client)
    case refuse(Socket, Problem)
  }

  private struct State {
    var waiting: [Job] = []
    var idleCount = 0
    var refusalCount = 0
  }

  private let serve: @Sendable (Client, Connection.Memory) -> Void
  private let refuse: @Sendable (Socket, Problem) -> Void
  // Invariant: nobody waits while a thread is idle and has been told.
  private let state = Monitor(State())

  init(
    _ serve: @escaping @Sendable (Client, Connection.Memory) -> Void,
    refuse: @escaping @Sendable (Socket, Problem) -> Void
  ) {
    self.serve = serve
    self.refuse = refuse
  }

  /// Gives a connection to an idle thread, or to a new one.
  func take(_ client: Client) throws(Errno) {
    try add(.serve(client)) { job in
      if case .serve(let other) = job { other === client } else { false }
    }
  }

  /// Has a connection refused, and closed, by another thread.
  func refuse(_ socket: Socket, _ problem: Problem) {
    let isTooMany = state.withLock { state in
      state.refusalCount += 1
      return state.refusalCount > Workers.maximumRefusalCount
    }
    do {
      if isTooMany { throw Errno.resourceTemporarilyUnavailable }
      try add(.refuse(socket, problem)) { job in
        if case .refuse(let other, _) = job { other === socket } else { false }
      }
    } catch {
      state.withLock { $0.refusalCount -= 1 }
      refuse(socket, problem)
    }
  }

  /// Gives a job to an idle thread, or to a new one; `isSame` finds it again.
  private func add(_ job: Job, _ isSame: (Job) -> Bool) throws(Errno) {
    let needsThread = state.notifyingOne { state in
      state.waiting.append(job)
      return state.waiting.count > state.idleCount
    }
    guard needsThread else { return }
    do {
      try Thread.detach { [self] in run() }
    } catch {
      // An older thread may have taken the job meanwhile: then all is well.
      let isWaiting = state.withLock { state in
        let index = state.waiting.firstIndex(where: isSame)
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
      case .serve(let client): serve(client, memory)
      case .refuse(let socket, let problem):
        refuse(socket, problem)
        state.withLock { $0.refusalCount -= 1 }
      }
    }
  }

  /// Waits for a connection; nil if enough other threads wait already.
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
