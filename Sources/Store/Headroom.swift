import WarmstartKernel

/// Whether the machine has memory left: the budget may be more than that.
final class Headroom: Sendable {
  private struct State {
    /// The bytes that may be charged before the kernel is asked again, which takes some 25 system
    /// calls.
    var unaskedByteCount = 0
    /// The bytes that were charged since the kernel was asked.
    var charged = 0
  }

  private let available: @Sendable () -> Int
  private let state = Monitor(State())

  /// Makes a headroom; a sixteenth of the budget, at most 64 MiB, may be charged without asking.
  init(beside budget: Int, _ available: @escaping @Sendable () -> Int) {
    self.available = available
    adopt(budget: budget)
  }

  /// Leaves room for another budget from now on.
  func adopt(budget: Int) {
    state.withLock { $0.unaskedByteCount = min(64 << 20, budget / 16) }
  }

  /// Whether the bytes can be allocated, with some to spare for other programs.
  func has(_ byteCount: Int) -> Bool {
    let unaskedByteCount: Int? = state.withLock { state in
      let (sum, overflow) = state.charged.addingReportingOverflow(byteCount)
      state.charged = overflow ? .max : sum
      guard state.charged >= state.unaskedByteCount else { return nil }
      state.charged = 0
      return state.unaskedByteCount
    }
    guard let unaskedByteCount else { return true }
    let left = available()
    return byteCount <= left - min(left, unaskedByteCount + left / 16)
  }
}
