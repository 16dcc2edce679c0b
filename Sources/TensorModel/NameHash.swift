/// Hashes names with a random key, so that no client can choose names that collide.
///
/// The hash is the value, at a random point, of a polynomial modulo 2^61 - 1 whose coefficients are
/// the words of the name. Names that were chosen without knowing the point collide no more often
/// than others.
struct NameHash: Sendable {
  private static let prime: UInt64 = 1 << 61 - 1
  /// The bytes of a word, which is less than the prime.
  private static let width = 7
  private static let mask: UInt64 = 1 << 56 - 1

  private let point = UInt64.random(in: 1 << 32..<NameHash.prime)

  /// The hash of a name: 61 bits.
  @inline(__always)
  func callAsFunction(_ name: Span<UInt8>) -> UInt64 {
    var value = UInt64(name.count)
    var offset = 0
    while offset < name.count {
      let product = (value &+ (name.word(at: offset) & NameHash.mask))
        .multipliedFullWidth(by: point)
      // 2^61 is 1, so that the product's upper bits are added to its lower ones.
      value = (product.low & NameHash.prime) &+ (product.high << 3 | product.low >> 61)
      if value >= NameHash.prime { value &-= NameHash.prime }
      offset &+= NameHash.width
    }
    return value
  }
}
