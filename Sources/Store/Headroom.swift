import WarmstartKernel

/// Whether the machine has memory left: the budget may be more than that.
final class Headroom: Sendable {
  /// The bytes that may be charged before the kernel is asked again, which takes some 25 system calls.
  private let unaskedByteCount: Int
  private let available: @Sendable () -> Int
  /// The bytes that were charged since the kernel was asked.
  private let charged = Monitor(0)

  /// Makes a headroom; a sixteenth of the budget, at most 64 MiB, may be charged without asking.
  init(beside budget: Int, _ available: @escaping @Sendable () -> Int) {
    unaskedByteCount = min(64 << 20, budget / 16)
    self.available = available
  }

  /// Whether the bytes can be allocated, with some to spare for other programs.
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
