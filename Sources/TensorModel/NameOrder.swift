/// Names in ascending order of their bytes, found without comparing shared beginnings again and again.
///
/// A multikey quicksort on words of seven bytes: variables of one model share long scopes, which a
/// comparison sort would walk through some seventeen times for each of 100,000 names.
struct NameOrder {
  /// The names' indexes in ascending order of the names.
  let indexes: [Int]
  /// Whether a name occurs twice.
  let hasEqual: Bool

  private struct Entry {
    var word: UInt64
    var index: Int
  }

  /// The names one after the other, so that looking at one touches no other memory.
  private struct Flat {
    var bytes: [UInt8] = []
    var ends = [0]

    init(_ count: Int, _ name: (Int) -> Name) {
      ends.reserveCapacity(count + 1)
      bytes.reserveCapacity((0..<count).reduce(0) { $0 + name($1).bytes.count })
      for index in 0..<count {
        bytes.append(contentsOf: name(index).bytes)
        ends.append(bytes.count)
      }
    }

    func word(_ index: Int, at depth: Int) -> UInt64 {
      let start = ends[index] + depth
      let end = min(start + width, ends[index + 1])
      var word: UInt64 = 0
      for place in start..<end { word = word << 8 | UInt64(bytes[place]) }
      word <<= UInt64(8 * (width - (end - start) + 1))
      return word | UInt64(min(ends[index + 1] - start, width + 1))
    }
  }

  /// The bytes of a word; its last byte tells how many of them the name has, so that NUL is not padding.
  private static let width = 7

  /// Puts names in order, each given by its index.
  init(_ count: Int, _ name: (Int) -> Name) {
    let flat = Flat(count, name)
    var entries = (0..<count).map { Entry(word: flat.word($0, at: 0), index: $0) }
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
        entries[place].word = flat.word(entries[place].index, at: depth + Self.width)
      }
      pending.append((equal, depth + Self.width))
    }
    indexes = entries.map(\.index)
    self.hasEqual = hasEqual
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
}
