/// Memory that a reader takes in large steps, and spends in small ones.
///
/// A pickle has millions of values, and each step asks the daemon's account.
struct Allowance {
  /// The memory that is taken at once; chosen, not tuned.
  private static let step = 1 << 16

  private(set) var memory: ReaderMemory
  /// The memory that was taken.
  private(set) var taken = 0
  private var left = 0

  /// Starts with nothing.
  init(_ memory: ReaderMemory) {
    self.memory = memory
  }

  /// Spends memory, before it is allocated.
  mutating func spend(_ byteCount: Int) throws(IndexError) {
    if byteCount > left {
      let added = max(byteCount - left, Allowance.step)
      try memory.take(added)
      taken += added
      left += added
    }
    left -= byteCount
  }
}
