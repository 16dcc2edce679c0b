import WarmstartKernel
package import WarmstartTensorModel

/// What users take of the daemon, each thing with a limit of its own.
package enum Resource: Int, Sendable, CaseIterable {
  /// Bytes that the store holds: arenas, parsed indexes, remembered answers, and what it takes to make
  /// them.
  case memory
  /// Bytes for connections, and for messages that are being received, answered and sent.
  case messages
  /// Files that are kept open: those that clients passed, those that residents hold, and arenas.
  case descriptors
  /// Files on frames that are being received and answered.
  case filesInFlight
  case connections
}

extension Resource: CustomStringConvertible {
  package var description: String {
    switch self {
    case .memory: "memory"
    case .messages: "room"
    case .descriptors: "room"
    case .filesInFlight: "room"
    case .connections: "room"
    }
  }

  /// A number of it, with its unit.
  func text(_ count: Int) -> String {
    switch self {
    case .memory: Resource.text(bytes: count)
    case .messages: "\(Resource.text(bytes: count)) of messages"
    case .descriptors: "\(count) open files"
    case .filesInFlight: "\(count) files in flight"
    case .connections: "\(count) connections"
    }
  }

  private static func text(bytes count: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var unit = 0
    var whole = count
    while whole >= 1024, unit + 1 < units.count {
      whole /= 1024
      unit += 1
    }
    guard unit > 0 else { return "\(count) B" }
    // Without overflow: the unit is at most a tebibyte.
    let size = 1 << (10 * unit)
    let tenths = whole * 10 + count % size * 10 / size
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }

  /// Where an administrator can change the limit.
  var setting: String {
    switch self {
    case .memory: "--budget"
    case .messages: "MemoryMax="
    case .descriptors, .filesInFlight: "LimitNOFILE="
    case .connections: "--max-connections"
    }
  }

  /// What a refusal is called: memory is the budget, everything else is a quota.
  var reason: Reason { self == .memory ? .budget : .quota }
}

/// A number for each resource.
package struct Amounts: Sendable, Hashable {
  private var memory = 0
  private var messages = 0
  private var descriptors = 0
  private var filesInFlight = 0
  private var connections = 0

  package init(memory: Int = 0, descriptors: Int = 0) {
    self.memory = memory
    self.descriptors = descriptors
  }

  /// Makes amounts of which each is the same.
  init(each amount: Int) {
    for resource in Resource.allCases { self[resource] = amount }
  }

  /// The amount of one resource.
  package subscript(resource: Resource) -> Int {
    get {
      switch resource {
      case .memory: memory
      case .messages: messages
      case .descriptors: descriptors
      case .filesInFlight: filesInFlight
      case .connections: connections
      }
    }
    set {
      switch resource {
      case .memory: memory = newValue
      case .messages: messages = newValue
      case .descriptors: descriptors = newValue
      case .filesInFlight: filesInFlight = newValue
      case .connections: connections = newValue
      }
    }
  }

  var isZero: Bool { self == Amounts() }

  mutating func add(_ other: Amounts) {
    for resource in Resource.allCases { self[resource] += other[resource] }
  }

  mutating func subtract(_ other: Amounts) {
    for resource in Resource.allCases { self[resource] -= other[resource] }
  }
}

/// What all users have taken, and the limits of it.
///
/// Three rules, for every resource alike:
/// - What is taken is charged before it is allocated or kept, and refunded after it is freed or closed.
/// - One user may have three quarters of what the others leave, so that whatever one does, another
///   can do something. More is neither refused nor taken back when others come later.
/// - The maker pays, as long as the maker leases the checkpoint. After that another user who leases it
///   pays for the index, and for those arenas that were granted to that user. What nobody else uses
///   stays with whoever paid last, until it is evicted, and an arena until no client has it.
package final class Accounts: Sendable {
  private struct Usage: Sendable {
    let uid: UInt32
    var amounts = Amounts()
  }

  // Arrays: the first dictionary of a type makes the runtime look through all conformances there
  // are, while the connection that activated the daemon waits.
  private struct State {
    var limits: Amounts
    var totals = Amounts()
    /// Of the users who have anything.
    var usages: [Usage] = []
    /// The memory that is charged for milliseconds, to read or to decode something.
    var passing = 0

    func position(of uid: UInt32) -> Int? { usages.firstIndex { $0.uid == uid } }

    func amounts(of uid: UInt32) -> Amounts {
      position(of: uid).map { usages[$0].amounts } ?? Amounts()
    }

    /// What a user may have while the others have what they have.
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

  /// Makes accounts; what no limit is given for has none.
  package init(memory: Int = .max) {
    var limits = Amounts(each: .max)
    limits[.memory] = memory
    state = Monitor(State(limits: limits))
  }

  /// Sets the limit of what all users may have of a resource.
  package func limit(_ resource: Resource, to amount: Int) {
    state.withLock { $0.limits[resource] = amount }
  }

  package func limit(of resource: Resource) -> Int { state.withLock { $0.limits[resource] } }

  /// What all users have of a resource, or one.
  package func amount(of resource: Resource, for uid: UInt32? = nil) -> Int {
    state.withLock { state in
      uid.map { state.amounts(of: $0)[resource] } ?? state.totals[resource]
    }
  }

  /// Whether a user could have amounts if nobody had anything.
  func canEverHave(_ amounts: Amounts) -> Bool {
    state.withLock { state in
      Resource.allCases.allSatisfy { resource in
        amounts[resource] <= state.limits[resource] - state.limits[resource] / 4
      }
    }
  }

  /// Takes of what a user may have; nil if it was taken, else the resource that is short.
  ///
  /// What is `passing` will be given back within milliseconds, and is worth waiting for.
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

  /// Takes of one resource, or throws what the user has of it.
  package func take(_ amount: Int, of resource: Resource, for uid: UInt32) throws(Problem) {
    var amounts = Amounts()
    amounts[resource] = amount
    guard take(amounts, for: uid) == nil else {
      throw refusal(amount, of: resource, for: uid)
    }
  }

  /// Gives back what was taken and is free now.
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

  /// Has another user pay, whatever that user has already.
  func transfer(_ amounts: Amounts, from uid: UInt32, to other: UInt32) {
    state.withLock { state in
      state.subtract(amounts, from: uid)
      state.add(amounts, to: other)
    }
  }

  /// Waits until some of what is passing was given back, or a little time is over.
  ///
  /// Returns false at once if nothing beyond what the caller has is passing.
  func waitForPassing(beyond own: Int, milliseconds: Int) -> Bool {
    let before = state.withLock { $0.passing }
    guard before > own else { return false }
    _ = state.wait(until: .after(milliseconds: milliseconds)) { state in
      state.passing < before ? true : nil
    }
    return true
  }

  /// Says what a user cannot have, and why.
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

/// What one user has taken.
package struct Account: Sendable {
  package let uid: UInt32
  let accounts: Accounts

  package init(_ uid: UInt32, in accounts: Accounts) {
    self.uid = uid
    self.accounts = accounts
  }

  /// Takes of a resource; throws if that is more than the user may have.
  package func take(_ amount: Int, of resource: Resource) throws(Problem) {
    try accounts.take(amount, of: resource, for: uid)
  }

  /// Gives back what was taken and is free now.
  package func giveBack(_ amount: Int, of resource: Resource) {
    accounts.giveBack(amount, of: resource, for: uid)
  }
}
