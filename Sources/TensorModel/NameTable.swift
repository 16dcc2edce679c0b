/// Finds declared variables by name: a hash table of their indexes, so that no name is copied.
struct NameTable {
  private struct Slot {
    /// Bits of the hash, which spare a look at most names that are not sought.
    var tag: UInt32 = 0
    var index: Int32 = -1
  }

  private let variables: [Variable]
  private var slots: [Slot]
  /// The indexes of variables whose name an earlier one has.
  private(set) var duplicates: [Int] = []

  /// Makes a table of variables; of those of one name, the first is found.
  init(_ variables: [Variable]) {
    self.variables = variables
    var capacity = 8
    while capacity < variables.count * 2 { capacity *= 2 }
    slots = Array(repeating: Slot(), count: capacity)
    for index in variables.indices {
      let hash = variables[index].name.hashValue
      let slot = slot(of: variables[index].name, hash)
      guard slots[slot].index < 0 else {
        duplicates.append(index)
        continue
      }
      slots[slot] = Slot(tag: Self.tag(hash), index: Int32(index))
    }
  }

  /// The index of the first variable of this name, or nil.
  func index(of name: Name) -> Int? {
    let found = slots[slot(of: name, name.hashValue)].index
    return found < 0 ? nil : Int(found)
  }

  /// The slot of the name, or the free one where it belongs.
  private func slot(of name: Name, _ hash: Int) -> Int {
    var slot = hash & (slots.count - 1)
    while slots[slot].index >= 0 {
      if slots[slot].tag == Self.tag(hash), variables[Int(slots[slot].index)].name == name {
        return slot
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  private static func tag(_ hash: Int) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 32) }
}
