/// Names in ascending order of their bytes, sorted without comparing shared beginnings repeatedly.
///
/// A multikey quicksort on words of seven bytes. Variables of one model share long scopes, and a
/// comparison sort would read them some seventeen times for each of 100,000 names.
package struct NameOrder {
  /// The names' indexes in ascending order of the names.
  package let indexes: [Int]
  /// Whether a name occurs twice.
  package let hasEqual: Bool

  private struct Entry {
    var word: UInt64
    var index: Int
  }

  /// The name's bytes in a word; the last byte of the word is their number, which tells NUL from
  /// padding.
  private static let width = 7

  /// Puts names in order.
  package init(_ names: NameList) {
    if let hasEqual = Self.hasEqual(ascending: names) {
      indexes = Array(0..<names.count)
      self.hasEqual = hasEqual
      return
    }
    var entries = (0..<names.count).map {
      Entry(word: Self.word(names.span($0), at: 0), index: $0)
    }
    var hasEqual = false
    var pending = [(range: entries.indices, depth: 0)]
    // The seed differs by process: no map can be written to meet the worst pivots.
    var random = UInt64(truncatingIfNeeded: Hasher().finalize()) | 1
    while let (range, depth) = pending.popLast() {
      guard range.count > 1 else { continue }
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let pivot = entries[range.lowerBound + Int(random >> 33) % range.count].word
      let equal = Self.partition(&entries, range, around: pivot)
      pending.append((range.lowerBound..<equal.lowerBound, depth))
      pending.append((equal.upperBound..<range.upperBound, depth))
      guard equal.count > 1 else { continue }
      guard pivot & 0xff > UInt64(Self.width) else {
        hasEqual = true
        continue
      }
      for place in equal {
        entries[place].word = Self.word(names.span(entries[place].index), at: depth + Self.width)
      }
      pending.append((equal, depth + Self.width))
    }
    indexes = entries.map(\.index)
    self.hasEqual = hasEqual
  }

  /// Whether a name occurs twice, if the names are in order as they are, as a saved model's may be.
  private static func hasEqual(ascending names: NameList) -> Bool? {
    var hasEqual = false
    for index in stride(from: 1, to: names.count, by: 1) {
      let (before, after) = (names.span(index - 1), names.span(index))
      if before.precedes(after) { continue }
      guard before.equals(after) else { return nil }
      hasEqual = true
    }
    return hasEqual
  }

  /// The name's bytes from a depth on, first byte highest, and how many there are.
  private static func word(_ name: Span<UInt8>, at depth: Int) -> UInt64 {
    let count = min(name.count - depth, width + 1)
    return name.word(at: depth).byteSwapped & ~0xff | UInt64(count)
  }

  /// Moves entries with smaller words before those with the pivot's word, and greater ones behind
  /// them.
  private static func partition(
    _ entries: inout [Entry], _ range: Range<Int>, around pivot: UInt64
  ) -> Range<Int> {
    var lower = range.lowerBound
    var upper = range.upperBound
    var next = lower
    while next < upper {
      let word = entries[next].word
      if word < pivot {
        entries.swapAt(lower, next)
        lower += 1
        next += 1
      } else if word > pivot {
        upper -= 1
        entries.swapAt(next, upper)
      } else {
        next += 1
      }
    }
    return lower..<upper
  }
}
