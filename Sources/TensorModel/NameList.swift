/// Names end to end in one buffer, by position: 100,000 of them are two allocations.
package struct NameList: Sendable, Hashable {
  /// The names' bytes, one name after the other.
  package private(set) var bytes: [UInt8] = []
  private var ends: [Int] = []

  package init() {}

  /// Makes a list from its buffer; nil if the lengths do not add up to the number of bytes.
  package init?(_ bytes: [UInt8], lengths: [UInt32]) {
    ends.reserveCapacity(lengths.count)
    var end = 0
    for length in lengths {
      end += Int(length)
      ends.append(end)
    }
    guard end == bytes.count else { return nil }
    self.bytes = bytes
  }

  /// The number of names.
  package var count: Int { ends.count }

  /// The approximate number of bytes of memory that the list takes.
  var memoryByteCount: Int { bytes.count + ends.count * MemoryLayout<Int>.stride }

  /// Makes room for names, so that appending them does not reallocate.
  package mutating func reserveCapacity(_ count: Int, byteCount: Int) {
    ends.reserveCapacity(count)
    bytes.reserveCapacity(byteCount)
  }

  /// Adds a name.
  package mutating func append(_ name: Span<UInt8>) {
    // Adding no capacity would write to the storage that all empty arrays of the process share.
    if !name.isEmpty {
      bytes.append(addingCapacity: name.count) { output in
        for index in name.indices { output.append(name[index]) }
      }
    }
    ends.append(bytes.count)
  }

  /// Adds a name whole.
  package mutating func append(_ name: Name) {
    bytes.append(contentsOf: name.bytes)
    ends.append(bytes.count)
  }

  /// Adds the names of another list.
  mutating func append(_ other: NameList) {
    let start = bytes.count
    bytes += other.bytes
    for index in other.ends.indices { ends.append(start + other.ends[index]) }
  }

  /// Adds a name in two parts.
  mutating func append(_ first: Span<UInt8>, _ second: Span<UInt8>) {
    append(first)
    append(second)
    ends.remove(at: ends.count - 2)
  }

  /// Where a name lies in `bytes`.
  @inline(__always)
  package func range(_ position: Int) -> Range<Int> {
    let end = ends[position]
    return (position == 0 ? 0 : ends[position &- 1])..<end
  }

  /// A name, which shares the buffer.
  package subscript(position: Int) -> Name { Name(bytes[range(position)]) }

  /// A name's bytes.
  @inline(__always)
  @_lifetime(borrow self)
  package func span(_ position: Int) -> Span<UInt8> { bytes.span.extracting(range(position)) }
}

extension Span<UInt8> {
  /// Whether these bytes equal others.
  @inline(__always)
  func equals(_ other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    // They mostly do, so compare all without a branch: the compiler takes many at a time.
    var difference: UInt8 = 0
    for index in indices { difference |= self[index] ^ other[index] }
    return difference == 0
  }

  /// Whether these bytes come before others, as names are ordered.
  package func precedes(_ other: Span<UInt8>) -> Bool {
    let shorter = Swift.min(count, other.count)
    var offset = 0
    while offset < shorter {
      let (left, right) = (word(at: offset), other.word(at: offset))
      if left != right {
        // Words that differ only past the end of the shorter name hold zeros there.
        let place = offset &+ (left ^ right).trailingZeroBitCount / 8
        guard place < shorter else { break }
        return left.byteSwapped < right.byteSwapped
      }
      offset &+= 8
    }
    return count < other.count
  }

  /// Eight bytes from an offset as a number, low byte first; past the end, zeros.
  @inline(__always)
  func word(at offset: Int) -> UInt64 {
    let rest = extracting(droppingFirst: offset)
    guard rest.count >= 8 else {
      var word: UInt64 = 0
      for index in rest.indices { word |= UInt64(rest[index]) << UInt64(index &* 8) }
      return word
    }
    // Written out, it is one load.
    let low = UInt64(rest[0]) | UInt64(rest[1]) << 8 | UInt64(rest[2]) << 16 | UInt64(rest[3]) << 24
    let high =
      UInt64(rest[4]) | UInt64(rest[5]) << 8 | UInt64(rest[6]) << 16 | UInt64(rest[7]) << 24
    return low | high << 32
  }
}
