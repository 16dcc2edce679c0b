import Kernel

/// The memory that the store may take for what it makes: arenas and parsed indexes.
package final class Budget: Sendable {
  /// The bytes that may be charged.
  package let limit: Int
  // Invariant: the sum of all charges that exist, never above the limit.
  private let charged = Monitor(0)

  package init(limit: Int) {
    self.limit = limit
  }

  /// The bytes that are charged now.
  package var byteCount: Int { charged.withLock { $0 } }

  /// Takes bytes before they are allocated; nil if that is more than is left.
  func charge(_ byteCount: Int) -> Charge? {
    let fits = charged.withLock { charged in
      guard byteCount <= limit - charged else { return false }
      charged += byteCount
      return true
    }
    return fits ? Charge(byteCount, to: self) : nil
  }

  fileprivate func refund(_ byteCount: Int) {
    charged.withLock { $0 -= byteCount }
  }
}

/// Bytes that are charged to a budget; refunded when the value ends.
struct Charge: ~Copyable, Sendable {
  let byteCount: Int
  private let budget: Budget

  fileprivate init(_ byteCount: Int, to budget: Budget) {
    self.byteCount = byteCount
    self.budget = budget
  }

  deinit {
    budget.refund(byteCount)
  }
}
