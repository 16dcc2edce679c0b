import Kernel
import SystemPackage
import Wire

/// Threads that serve one connection after another; a few wait for the next one.
final class Workers: Sendable {
  /// Threads that are kept though nobody needs them just now: starting one costs more than a call.
  private static let spareCount = 4

  private struct State {
    var waiting: [Client] = []
    var idleCount = 0
  }

  private let serve: @Sendable (Client, Connection.Memory) -> Void
  // Invariant: nobody waits while a thread is idle and has been told.
  private let state = Monitor(State())

  init(_ serve: @escaping @Sendable (Client, Connection.Memory) -> Void) {
    self.serve = serve
  }

  /// Gives a connection to an idle thread, or to a new one.
  func take(_ client: Client) throws(Errno) {
    let needsThread = state.notifyingOne { state in
      state.waiting.append(client)
      return state.waiting.count > state.idleCount
    }
    guard needsThread else { return }
    do {
      try Thread.detach { [self] in run() }
    } catch {
      // An older thread may have taken the client meanwhile: then all is well.
      let isWaiting = state.withLock { state in
        let index = state.waiting.firstIndex { $0 === client }
        if let index { state.waiting.remove(at: index) }
        return index != nil
      }
      if isWaiting { throw error }
    }
  }

  private func run() {
    let memory = Connection.Memory()
    while let client = next() { serve(client, memory) }
  }

  /// Waits for a connection; nil if enough other threads wait already.
  private func next() -> Client? {
    enum Turn {
      case serve(Client)
      case idle
      case end
    }
    let turn: Turn = state.withLock { state in
      if !state.waiting.isEmpty { return .serve(state.waiting.removeFirst()) }
      guard state.idleCount < Workers.spareCount else { return .end }
      state.idleCount += 1
      return .idle
    }
    switch turn {
    case .serve(let client): return client
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
