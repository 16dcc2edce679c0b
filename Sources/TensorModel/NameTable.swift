/// Finds names of a list by hash, in a flat table of positions that copies no name.
struct NameTable: Sendable {
  private struct Slot {
    /// Bits of the hash, which rule out most other names without reading them.
    var tag: UInt32 = 0
    var position: Int32 = -1
  }

  private let hash = NameHash()
  private var slots: [Slot]
  /// The positions of names that an earlier one equals.
  private(set) var duplicates: [Int] = []

  /// Makes a table of names; a look-up finds the first of equal names.
  init(_ names: NameList) {
    var capacity = 8
    while capacity < names.count * 2 { capacity *= 2 }
    slots = Array(repeating: Slot(), count: capacity)
    for position in 0..<names.count {
      let name = names.span(position)
      let hash = hash(name)
      let slot = slot(of: name, hash, in: names)
      if slots[slot].position < 0 {
        slots[slot] = Slot(tag: Self.tag(hash), position: Int32(position))
      } else {
        duplicates.append(position)
      }
    }
  }

  /// The memory that the table takes, in bytes.
  var memoryByteCount: Int { slots.count * MemoryLayout<Slot>.stride }

  /// The position of the first name that equals this one; `names` is the list of the initializer.
  func position(of name: Span<UInt8>, in names: NameList) -> Int? {
    let found = slots[slot(of: name, hash(name), in: names)].position
    return found < 0 ? nil : Int(found)
  }

  /// The slot of the name, or the free slot for it.
  @inline(__always)
  private func slot(of name: Span<UInt8>, _ hash: UInt64, in names: NameList) -> Int {
    let mask = slots.count &- 1
    let tag = Self.tag(hash)
    var slot = Int(truncatingIfNeeded: hash) & mask
    while true {
      let found = slots[slot]
      if found.position < 0 { return slot }
      if found.tag == tag, names.span(Int(found.position)).equals(name) { return slot }
      slot = (slot &+ 1) & mask
    }
  }

  private static func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 29) }
}
