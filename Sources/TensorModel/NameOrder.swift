/// Names in ascending order of their bytes, found without comparing shared beginnings again and again.
///
/// A multikey quicksort on words of seven bytes: variables of one model share long scopes, which a
/// comparison sort would walk through some seventeen times for each of 100,000 names.
enum NameOrder {
  private struct Entry {
    var word: UInt64
    var index: Int
  }

  /// The bytes of a word; its last byte tells how many of them the name has, so that NUL is not padding.
  private static let width = 7

  /// Returns the indexes of `names` in ascending order of the names.
  static func ascending(_ names: [Name]) -> [Int] {
    var entries = names.indices.map { Entry(word: word(of: names[$0], at: 0), index: $0) }
    var pending = [(range: entries.indices, depth: 0)]
    // The seed differs by process: no map can be written to meet the worst pivots.
    var random = UInt64(truncatingIfNeeded: Hasher().finalize()) | 1
    while let (range, depth) = pending.popLast() {
      guard range.count > 1 else { continue }
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let pivot = entries[range.lowerBound + Int(random >> 33) % range.count].word
      let equal = partition(&entries, range, around: pivot)
      pending.append((range.lowerBound..<equal.lowerBound, depth))
      pending.append((equal.upperBound..<range.upperBound, depth))
      guard pivot & 0xff > UInt64(width), equal.count > 1 else { continue }
      for place in equal {
        entries[place].word = word(of: names[entries[place].index], at: depth + width)
      }
      pending.append((equal, depth + width))
    }
    return entries.map(\.index)
  }

  /// Moves entries of smaller words before, of greater ones behind those of the pivot's word.
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

  private static func word(of name: Name, at depth: Int) -> UInt64 {
    let bytes = name.bytes
    let start = bytes.startIndex + depth
    let end = min(start + width, bytes.endIndex)
    var word: UInt64 = 0
    for index in start..<end { word = word << 8 | UInt64(bytes[index]) }
    word <<= UInt64(8 * (width - (end - start) + 1))
    return word | UInt64(min(bytes.endIndex - start, width + 1))
  }
}
