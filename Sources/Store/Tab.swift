import WarmstartKernel
import WarmstartTensorModel

/// The charges for things that one user had made, and the account that they are on.
///
/// The things may outlive that user's leases: then a user who still uses them pays, and the tab
/// moves to that user's account.
final class Tab: Sendable {
  private struct State {
    var uid: UInt32
    var amounts = Amounts()
  }

  private let accounts: Accounts
  // Invariant: the amounts are those of all charges that exist, and are charged to the user.
  // Lock order: a tab's monitor, then that of the accounts.
  private let state: Monitor<State>

  init(_ account: Account) {
    accounts = account.accounts
    state = Monitor(State(uid: account.uid))
  }

  /// The user who pays now.
  var uid: UInt32 { state.withLock { $0.uid } }

  /// Charges amounts before they are taken, if the user may have them and the machine has room.
  func charge(
    _ amounts: Amounts, passing: Bool = false, within headroom: Headroom? = nil
  ) throws(Shortage) -> Charge {
    let short = state.withLock { state in
      let short = accounts.take(amounts, for: state.uid, passing: passing)
      if short == nil { state.amounts.add(amounts) }
      return short
    }
    if let short { throw Shortage(resource: short) }
    let charge = Charge(amounts, passing: passing, to: self)
    // Asked last, and refunded if the answer is no: most charges are too small to ask.
    if let headroom, amounts[.memory] > 0, !headroom.has(amounts[.memory]) {
      throw Shortage(resource: .memory, isOfMachine: true)
    }
    return charge
  }

  /// The bytes of memory that are charged.
  var memoryByteCount: Int { state.withLock { $0.amounts[.memory] } }

  var isEmpty: Bool { state.withLock { $0.amounts.isZero } }

  /// The problem that says why amounts were not charged.
  func refusal(_ amounts: Amounts, _ shortage: Shortage) -> Problem {
    if shortage.isOfMachine {
      return Problem(
        .budget,
        "no memory for \(Resource.memory.text(amounts[.memory])): the machine, or the daemon's control "
          + "group, has too little left")
    }
    return accounts.refusal(amounts[shortage.resource], of: shortage.resource, for: uid)
  }

  /// Has another user pay for everything.
  func move(to other: UInt32) {
    state.withLock { state in
      accounts.transfer(state.amounts, from: state.uid, to: other)
      state.uid = other
    }
  }

  fileprivate func refund(_ amounts: Amounts, passing: Bool) {
    state.withLock { state in
      state.amounts.subtract(amounts)
      accounts.giveBack(amounts, for: state.uid, passing: passing)
    }
  }
}

/// The resource that a user cannot have more of.
struct Shortage: Error {
  let resource: Resource
  /// Whether the machine has none left, although the limits would allow more.
  var isOfMachine = false
}

/// Amounts that are charged to a tab; refunded when the value ends.
struct Charge: ~Copyable, Sendable {
  let amounts: Amounts
  private let passing: Bool
  private let tab: Tab

  fileprivate init(_ amounts: Amounts, passing: Bool, to tab: Tab) {
    self.amounts = amounts
    self.passing = passing
    self.tab = tab
  }

  deinit {
    tab.refund(amounts, passing: passing)
  }
}
