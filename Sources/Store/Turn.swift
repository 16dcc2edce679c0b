import WarmstartKernel
package import WarmstartTensorModel

/// A connection's turn among its user's calls: held while a call uses the processor, and given up while
/// it waits for anything, or touches a file that may not answer.
///
/// Without turns a user with hundreds of busy connections would have hundreds of shares of the processors.
package final class Turn: Sendable {
  private let slots: Slots
  private let uid: UInt32
  /// Only the connection's thread changes it.
  private let isHeld = Monitor(false)

  package init(among slots: Slots, for uid: UInt32) {
    self.slots = slots
    self.uid = uid
  }

  deinit {
    giveUp()
  }

  /// Waits for the turn; throws if the caller has gone meanwhile.
  package func take(_ caller: Caller) throws(Problem) {
    guard !isHeld.withLock({ $0 }) else { return }
    try slots.enter(caller, of: uid)
    isHeld.withLock { $0 = true }
  }

  /// Gives the turn up, if it is held; returns whether it was.
  @discardableResult
  package func giveUp() -> Bool {
    let wasHeld = isHeld.withLock { isHeld in
      defer { isHeld = false }
      return isHeld
    }
    if wasHeld { slots.leave(uid) }
    return wasHeld
  }

  /// Runs the body without the turn, and takes it again.
  package func pausing<Result>(
    _ caller: Caller, _ body: () throws(Problem) -> Result
  ) throws(Problem) -> Result {
    guard giveUp() else { return try body() }
    let result = try body()
    try take(caller)
    return result
  }
}
