/// The tensors of a checkpoint that initialize no variable.
package struct UnusedTensors: Sendable, Hashable {
  /// The most names that are listed, and the most bytes of them together; chosen, not tuned.
  package static let maximumNameCount = 16
  package static let maximumByteCount = 4096

  /// The number of unused tensors.
  package var count = 0
  /// The first of their names, ascending, within the limits above; empty if they were not asked
  /// for.
  package var names = NameList()

  package init() {}

  /// Counts the tensors that are not assigned, and lists the first of their names if they are
  /// wanted.
  package init(
    of catalog: Catalog, after assignments: [Resolution.Assignment], isNaming: Bool
  ) {
    // A bit for each tensor: catalogs are large, and most maps take few.
    var used = [UInt64](repeating: 0, count: (catalog.count + 63) / 64)
    count = catalog.count
    for assignment in assignments {
      let (word, bit) = (assignment.tensor >> 6, UInt64(1) << UInt64(assignment.tensor & 63))
      if used[word] & bit == 0 { count -= 1 }
      used[word] |= bit
    }
    guard isNaming else { return }
    var word = 0
    while word < used.count, names.count < min(count, Self.maximumNameCount) {
      guard used[word] != .max else {
        word += 1
        continue
      }
      let bit = (~used[word]).trailingZeroBitCount
      let position = word * 64 + bit
      used[word] |= 1 << UInt64(bit)
      let name = catalog.nameBytes(position)
      guard names.bytes.count + name.count <= Self.maximumByteCount else { break }
      names.append(name)
    }
  }
}
