import Kernel

/// What memory there is beside the budget: the budget may be more than the machine has left.
final class Headroom: Sendable {
  /// Less than this may be charged before the kernel is asked again; chosen, not tuned.
  private static let unaskedByteCount = 1 << 20

  private let available: @Sendable () -> Int
  /// What was charged since the kernel was asked.
  private let charged = Monitor(0)

  init(_ available: @escaping @Sendable () -> Int) {
    self.available = available
  }

  /// Whether so many bytes can be allocated, with some to spare for everything else.
  func has(_ byteCount: Int) -> Bool {
    let mustAsk = charged.withLock { charged in
      let (sum, overflow) = charged.addingReportingOverflow(byteCount)
      charged = overflow ? .max : sum
      guard charged >= Headroom.unaskedByteCount else { return false }
      charged = 0
      return true
    }
    guard mustAsk else { return true }
    let left = available()
    return byteCount <= left - min(left, Headroom.unaskedByteCount + left / 16)
  }
}
