import WarmstartKernel
import WarmstartTensorModel

/// Which calls, or loads, may run: a few of each user at a time, the others of that user wait in turn.
///
/// There is no limit for all users together. The kernel divides the processors among the threads that
/// run, so each user gets a share whatever the others have waiting; and what hangs in the kernel keeps
/// a slot of its own user only.
package final class Slots: Sendable {
  private struct Queue: Sendable {
    let uid: UInt32
    var runningCount = 0
    /// In the order in which they came.
    var waiting: [Flight] = []
  }

  private let countPerUser: Int
  // Invariant: a queue exists while something of its user runs; nobody waits while a slot is free; a
  // flight that has ended has a slot.
  private let queues = Monitor<[Queue]>([])

  package init(countPerUser: Int) {
    self.countPerUser = countPerUser
  }

  /// Runs the body when the user has a free slot; the caller's turn among calls is given up meanwhile.
  ///
  /// Throws if the caller has gone or its deadline passes before, and what the body throws.
  func run<Result>(
    _ caller: Caller, of uid: UInt32, _ body: () throws(Problem) -> Result
  ) throws(Problem) -> Result {
    try caller.pausing { () throws(Problem) in
      try enter(caller, of: uid)
      defer { leave(uid) }
      return try body()
    }
  }

  /// Waits until the user has a free slot, and takes it; then `leave`.
  func enter(_ caller: Caller, of uid: UInt32) throws(Problem) {
    let turn: Flight? = queues.withLock { queues in
      guard let known = queues.firstIndex(where: { $0.uid == uid }) else {
        queues.append(Queue(uid: uid, runningCount: 1))
        return nil
      }
      guard queues[known].runningCount >= countPerUser else {
        queues[known].runningCount += 1
        return nil
      }
      let turn = Flight()
      queues[known].waiting.append(turn)
      return turn
    }
    guard let turn else { return }
    do {
      while !turn.hasEnded { try caller.wait(for: turn) }
    } catch {
      giveUp(turn, uid)
      throw error
    }
  }

  private func giveUp(_ turn: Flight, _ uid: UInt32) {
    let hasSlot = queues.withLock { queues in
      guard let queue = queues.firstIndex(where: { $0.uid == uid }),
        let place = queues[queue].waiting.firstIndex(where: { $0 === turn })
      else { return true }
      queues[queue].waiting.remove(at: place)
      return false
    }
    if hasSlot { leave(uid) }
  }

  /// Gives a slot back.
  func leave(_ uid: UInt32) {
    let next: Flight? = queues.withLock { queues in
      guard let queue = queues.firstIndex(where: { $0.uid == uid }) else { return nil }
      if !queues[queue].waiting.isEmpty { return queues[queue].waiting.removeFirst() }
      queues[queue].runningCount -= 1
      if queues[queue].runningCount == 0 { queues.remove(at: queue) }
      return nil
    }
    next?.end()
  }
}
