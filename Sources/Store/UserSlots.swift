import WarmstartKernel
import WarmstartTensorModel

/// The slots of one user: a few calls, or loads, run at a time, and the others wait in turn.
final class UserSlots: Sendable {
  private struct State {
    var runningCount = 0
    /// In the order in which they came.
    var waiting: [Flight] = []
  }

  let uid: UInt32
  private let count: Int
  private let all: Slots
  // Invariant: no flight waits while a slot is free; a flight that has ended has a slot.
  private let state = Monitor(State())

  init(_ count: Int, of uid: UInt32, among all: Slots) {
    self.count = count
    self.uid = uid
    self.all = all
  }

  deinit {
    all.forget(ObjectIdentifier(self))
  }

  /// Waits until a slot is free, and takes it; then `leave`.
  ///
  /// Throws if the caller hangs up or its deadline passes before.
  func enter(_ caller: Caller) throws(Problem) {
    let turn: Flight? = state.withLock { state in
      guard state.runningCount >= count else {
        state.runningCount += 1
        return nil
      }
      let turn = Flight()
      state.waiting.append(turn)
      return turn
    }
    if let turn { try wait(turn, caller) }
  }

  /// Takes a slot if one is free; then `leave`.
  func enterIfFree() -> Bool {
    state.withLock { state in
      guard state.runningCount < count else { return false }
      state.runningCount += 1
      return true
    }
  }

  /// Whether a call or load waits for a slot.
  var isAwaited: Bool { state.withLock { !$0.waiting.isEmpty } }

  private func wait(_ turn: Flight, _ caller: Caller) throws(Problem) {
    do {
      while !turn.hasEnded { try caller.wait(for: turn) }
    } catch {
      giveUp(turn)
      throw error
    }
  }

  private func giveUp(_ turn: Flight) {
    let hasSlot = state.withLock { state in
      guard let place = state.waiting.firstIndex(where: { $0 === turn }) else { return true }
      state.waiting.remove(at: place)
      return false
    }
    if hasSlot { leave() }
  }

  /// Gives a slot back, or passes it on to the flight that has waited longest.
  func leave() {
    let next: Flight? = state.withLock { state in
      if !state.waiting.isEmpty { return state.waiting.removeFirst() }
      state.runningCount -= 1
      return nil
    }
    next?.end()
  }
}
