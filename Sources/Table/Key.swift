/// The key that a walk is at, in storage that is allocated once.
///
/// An entry's key is told as what it shares with the one before, so the walk keeps that one.
struct Key: ~Copyable {
  private var storage: [UInt8]
  private(set) var byteCount = 0
  private var isFirst = true

  /// Starts before the first key.
  init() {
    storage = Array(repeating: 0, count: Key.maximumByteCount)
  }

  /// The key's bytes.
  var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    borrowing get { storage.span.extracting(first: byteCount) }
  }

  /// Goes on to the key that keeps the first bytes of this one and then has others.
  ///
  /// Returns false, and stays, if that key is not greater than this one. `kept` must not be more
  /// than this key has, nor the sum more than the greatest length.
  mutating func advance(keeping kept: Int, then suffix: Span<UInt8>) -> Bool {
    guard isFirst || Key.precedes(storage.span.extracting(kept..<byteCount), suffix)
    else { return false }
    isFirst = false
    var target = storage.mutableSpan
    for index in suffix.indices {
      target[kept &+ index] = suffix[index]
    }
    byteCount = kept + suffix.count
    return true
  }

  /// Stays at bytes that are no key of the walk, but that the next key must be greater than.
  mutating func raise(to floor: Span<UInt8>) {
    isFirst = true
    _ = advance(keeping: 0, then: floor)
  }

  /// Whether the left bytes come strictly before the right, as unsigned bytes.
  static func precedes(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    let count = min(left.count, right.count)
    var index = 0
    while index < count {
      if left[index] != right[index] { return left[index] < right[index] }
      index &+= 1
    }
    return left.count < right.count
  }

  /// Far above any variable's path, though leveldb has no limit; chosen, not tuned.
  static let maximumByteCount = 1 << 16
}
