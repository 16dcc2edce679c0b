import WarmstartKernel
package import WarmstartTensorModel

/// What each user has taken, and the limits for all users together.
///
/// Three rules hold for every resource:
/// - A user is charged before anything is allocated or kept, and refunded after it is freed or
///   closed.
/// - One user may have three quarters of what the other users leave, so that no user can take
///   everything. What a user already has is not taken back when other users come later.
/// - The user who has something made pays for it as long as that user leases the checkpoint. After
///   that, another user who leases it pays for the index, and for the arenas that this other user
///   was granted. What no other user has stays with the last payer: an index until it is evicted,
///   an arena until no client has it.
package final class Accounts: Sendable {
  private struct Usage: Sendable {
    let uid: UInt32
    var amounts = Amounts()
  }

  // Arrays: the first dictionary of a type makes the runtime search all conformances, while the
  // connection that activated the daemon waits.
  private struct State {
    var limits: Amounts
    var totals = Amounts()
    /// One for each user who has anything.
    var usages: [Usage] = []
    /// The memory that is charged only for milliseconds, to read or decode something.
    var passing = 0

    func position(of uid: UInt32) -> Int? { usages.firstIndex { $0.uid == uid } }

    func amounts(of uid: UInt32) -> Amounts {
      position(of: uid).map { usages[$0].amounts } ?? Amounts()
    }

    /// What a user may have, given what the other users have.
    func share(of resource: Resource, for uid: UInt32) -> Int {
      let left = max(0, limits[resource] - totals[resource] + amounts(of: uid)[resource])
      return left - left / 4
    }

    mutating func add(_ amounts: Amounts, to uid: UInt32) {
      totals.add(amounts)
      if let known = position(of: uid) {
        usages[known].amounts.add(amounts)
      } else {
        usages.append(Usage(uid: uid, amounts: amounts))
      }
    }

    mutating func subtract(_ amounts: Amounts, from uid: UInt32) {
      totals.subtract(amounts)
      guard let known = position(of: uid) else { return }
      usages[known].amounts.subtract(amounts)
      if usages[known].amounts.isZero {
        usages.swapAt(known, usages.count - 1); usages.removeLast()
      }
    }
  }

  // Invariant: the totals are the sums of all usages.
  private let state: Monitor<State>

  /// Makes accounts with a limit of memory, and none of other resources.
  package init(memory: Int = .max) {
    var limits = Amounts(each: .max)
    limits[.memory] = memory
    state = Monitor(State(limits: limits))
  }

  /// Sets the limit of a resource for all users together.
  package func limit(_ resource: Resource, to amount: Int) {
    state.withLock { $0.limits[resource] = amount }
  }

  /// Sets all limits.
  func adopt(_ limits: Limits) {
    limit(.memory, to: limits.memoryByteCount)
    limit(.connections, to: limits.connections)
    limit(.descriptors, to: limits.descriptors)
    limit(.filesInFlight, to: limits.filesInFlight)
    limit(.messages, to: limits.messageByteCount)
  }

  package func limit(of resource: Resource) -> Int { state.withLock { $0.limits[resource] } }

  /// How much of a resource all users have, or one user has.
  package func amount(of resource: Resource, for uid: UInt32? = nil) -> Int {
    state.withLock { state in
      uid.map { state.amounts(of: $0)[resource] } ?? state.totals[resource]
    }
  }

  /// The users who have anything, with the most memory first.
  package func users() -> [UInt32] {
    let usages = state.withLock { $0.usages }
    return usages.sorted { $0.amounts[.memory] > $1.amounts[.memory] }.map(\.uid)
  }

  /// Whether a user has more of a resource than another.
  func has(more resource: Resource, _ uid: UInt32, than other: UInt32) -> Bool {
    amount(of: resource, for: uid) > amount(of: resource, for: other)
  }

  /// Whether a user could have the amounts if no user had anything.
  func canEverHave(_ amounts: Amounts) -> Bool {
    state.withLock { state in
      Resource.allCases.allSatisfy { resource in
        amounts[resource] <= state.limits[resource] - state.limits[resource] / 4
      }
    }
  }

  /// Charges a user.
  ///
  /// - Parameter passing: Whether the amounts will be refunded within milliseconds, so that other
  ///   calls had better wait for them.
  /// - Returns: The resource that is short, or nil if the amounts were charged.
  func take(_ amounts: Amounts, for uid: UInt32, passing: Bool = false) -> Resource? {
    state.withLock { state in
      for resource in Resource.allCases where amounts[resource] > 0 {
        let own = state.amounts(of: uid)[resource]
        guard amounts[resource] <= state.share(of: resource, for: uid) - own else {
          return resource
        }
      }
      state.add(amounts, to: uid)
      if passing { state.passing += amounts[.memory] }
      return nil
    }
  }

  /// Charges a user for one resource; throws, with what the user has, if that is too much.
  package func take(_ amount: Int, of resource: Resource, for uid: UInt32) throws(Problem) {
    var amounts = Amounts()
    amounts[resource] = amount
    guard take(amounts, for: uid) == nil else {
      throw refusal(amount, of: resource, for: uid)
    }
  }

  /// Refunds what is free now.
  package func giveBack(_ amount: Int, of resource: Resource, for uid: UInt32) {
    var amounts = Amounts()
    amounts[resource] = amount
    giveBack(amounts, for: uid)
  }

  func giveBack(_ amounts: Amounts, for uid: UInt32, passing: Bool = false) {
    guard passing else { return state.withLock { $0.subtract(amounts, from: uid) } }
    state.notifying { state in
      state.subtract(amounts, from: uid)
      state.passing -= amounts[.memory]
    }
  }

  /// Has another user pay, even beyond that user's limit.
  func transfer(_ amounts: Amounts, from uid: UInt32, to other: UInt32) {
    state.withLock { state in
      state.subtract(amounts, from: uid)
      state.add(amounts, to: other)
    }
  }

  /// Waits until some passing memory is refunded, or the time is over.
  ///
  /// Returns false at once if the caller alone has passing memory.
  func waitForPassing(beyond own: Int, milliseconds: Int) -> Bool {
    let before = state.withLock { $0.passing }
    guard before > own else { return false }
    _ = state.wait(until: .after(milliseconds: milliseconds)) { state in
      state.passing < before ? true : nil
    }
    return true
  }

  /// The problem of a refusal: what the user has, may have, and how to change the limit.
  func refusal(_ amount: Int, of resource: Resource, for uid: UInt32) -> Problem {
    let (own, total, limit, share) = state.withLock { state in
      (
        state.amounts(of: uid)[resource], state.totals[resource], state.limits[resource],
        state.share(of: resource, for: uid)
      )
    }
    let text = { (count: Int) in resource.text(count) }
    return Problem(
      resource.reason,
      "no \(resource) for \(text(amount)): user \(uid) has \(text(own)) and may have \(text(share)), "
        + "three quarters of what others leave of \(text(limit)) (they have \(text(total - own))); "
        + "see \(resource.setting)")
  }
}

/// One user's account.
package struct Account: Sendable {
  package let uid: UInt32
  let accounts: Accounts

  package init(_ uid: UInt32, in accounts: Accounts) {
    self.uid = uid
    self.accounts = accounts
  }

  /// Charges the user; throws if that is more than the user may have.
  package func take(_ amount: Int, of resource: Resource) throws(Problem) {
    try accounts.take(amount, of: resource, for: uid)
  }

  /// Refunds what is free now.
  package func giveBack(_ amount: Int, of resource: Resource) {
    accounts.giveBack(amount, of: resource, for: uid)
  }
}
