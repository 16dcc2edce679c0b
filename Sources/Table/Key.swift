/// The current key of a walk, in storage that is allocated once.
///
/// A table stores the start of a key as a length shared with the previous key, so the walk keeps
/// that key.
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

  /// Goes on to the key that keeps the first bytes of this one and continues with others.
  ///
  /// `kept` must not exceed the length of this key, nor the sum the greatest length.
  ///
  /// - Returns: false, without effect, if that key is not greater than this one.
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

  /// Sets bytes that the next key must be greater than, though no entry has them as its key.
  mutating func raise(to floor: Span<UInt8>) {
    isFirst = true
    _ = advance(keeping: 0, then: floor)
  }

  /// Whether the left bytes come before the right ones, compared as unsigned bytes.
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
