import WarmstartKernel

/// What memory there is beside the budget: the budget may be more than the machine has left.
final class Headroom: Sendable {
  /// How much may be charged before the kernel is asked again: asking takes some 25 system calls.
  private let unaskedByteCount: Int
  private let available: @Sendable () -> Int
  /// What was charged since the kernel was asked.
  private let charged = Monitor(0)

  /// Makes a headroom beside a budget, a sixteenth of which may be charged without asking, or 64 MiB.
  init(beside budget: Int, _ available: @escaping @Sendable () -> Int) {
    unaskedByteCount = min(64 << 20, budget / 16)
    self.available = available
  }

  /// Whether so many bytes can be allocated, with some to spare for everything else.
  func has(_ byteCount: Int) -> Bool {
    let mustAsk = charged.withLock { charged in
      let (sum, overflow) = charged.addingReportingOverflow(byteCount)
      charged = overflow ? .max : sum
      guard charged >= unaskedByteCount else { return false }
      charged = 0
      return true
    }
    guard mustAsk else { return true }
    let left = available()
    return byteCount <= left - min(left, unaskedByteCount + left / 16)
  }
}
