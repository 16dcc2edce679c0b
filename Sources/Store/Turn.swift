import WarmstartKernel
package import WarmstartTensorModel

/// A connection's turn among its user's calls.
///
/// A call holds the turn while it uses the processor. It gives the turn up while it waits for
/// anything, or touches a file that may not answer. Without turns a user with hundreds of busy
/// connections would have hundreds of shares of the processors.
package final class Turn: Sendable {
  private let slots: UserSlots
  /// 1 while the turn is held; only the connection's thread changes it.
  private let isHeld = AtomicNumber(0)

  package init(among slots: Slots, for uid: UInt32) {
    self.slots = slots.slots(of: uid)
  }

  deinit {
    giveUp()
  }

  /// Waits for the turn; throws if the caller hangs up or its deadline passes before.
  package func take(_ caller: Caller) throws(Problem) {
    guard isHeld.value == 0 else { return }
    try slots.enter(caller)
    _ = isHeld.exchange(1)
  }

  /// Gives the turn up, if it is held; returns whether it was.
  @discardableResult
  package func giveUp() -> Bool {
    guard isHeld.exchange(0) == 1 else { return false }
    slots.leave()
    return true
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
