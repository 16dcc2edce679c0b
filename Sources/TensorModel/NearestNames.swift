/// The names most like one that was not found, best first, kept while candidates are offered.
///
/// A candidate is near if few edits make it the sought name (a typing error), else if it has a
/// suffix more (`kernel_ref` for `kernel`), else if it ends in the same component
/// (`model/dense/kernel` for `dense/kernel`: the wrong scope). Bytes are compared, and a named
/// bound ends the search early rather than let it take long. Among names of tensors and variables a
/// dot is as good as a slash, so `a.b.kernl` is near `a/b/kernel`.
package struct NearestNames {
  /// The most names that are kept.
  package static let maximumCount = 3
  /// The most edits that leave a name near; a third of a short name, but never all of it.
  private static let maximumEdits = 8
  /// Longer names are compared by their ends only.
  private static let maximumByteCount = 512
  private static let width = maximumByteCount + maximumEdits + 1
  /// The most steps of edit distance in one search: some 10 ms; chosen, not tuned.
  private static let maximumSteps = 4_000_000

  private let sought: [UInt8]
  private let lastComponentCount: Int
  /// What divides components, beside the slash; nil for names in which only slashes do.
  private let separator: UInt8?
  private var best: [(rank: Int, name: Name)] = []
  private var stepsLeft = NearestNames.maximumSteps
  /// Three rows of the table of edit distances, in turn.
  private var cells = [Int](repeating: 0, count: 3 * NearestNames.width)

  /// Begins a search.
  ///
  /// - Parameter separator: For names of tensors and variables, what divides their components
  ///   beside the slash; nil for other names, in which a dot is a byte like any other.
  package init(to name: Name, separator: UInt8? = nil) {
    sought = name.bytes.map { Self.folded($0, separator) }
    self.separator = separator
    let slash = name.bytes.lastIndex { $0 == ScopeEnds.slash || $0 == separator }
    lastComponentCount = name.bytes.endIndex - (slash.map { $0 + 1 } ?? name.bytes.startIndex)
  }

  private func isSeparator(_ byte: UInt8?) -> Bool {
    byte == ScopeEnds.slash || byte != nil && byte == separator
  }

  /// A byte for comparisons, in which all that may divide components is alike.
  private static func folded(_ byte: UInt8, _ separator: UInt8?) -> UInt8 {
    guard let separator, byte == separator || byte == UInt8(ascii: ".") else { return byte }
    return ScopeEnds.slash
  }

  private func folded(_ byte: UInt8) -> UInt8 { Self.folded(byte, separator) }

  /// Whether the nearest of the names differs by no more than a typing error would.
  var areAlike: Bool { best.first.map { $0.rank <= Self.maximumEdits } ?? false }

  /// The names nearest to one that was not found, worded to end a message, or nothing.
  package static func suggestion(
    for name: Name, separator: UInt8? = nil, offering offer: (inout NearestNames) -> Void
  ) -> String {
    var nearest = NearestNames(to: name, separator: separator)
    offer(&nearest)
    return nearest.suggestion
  }

  /// The names nearest to the sought one, worded to end a message, or nothing.
  var suggestion: String {
    names.isEmpty ? "" : "; nearest: " + names.map(\.inMessage).joined(separator: ", ")
  }

  /// The nearest of the names offered so far.
  package var names: [Name] { best.map(\.name) }

  /// Considers a candidate.
  package mutating func offer(_ candidate: Name) {
    guard let rank = rank(candidate), rank < worstRank else { return }
    guard !best.contains(where: { $0.name == candidate }) else { return }
    let place = best.firstIndex { $0.rank > rank } ?? best.endIndex
    best.insert((rank, candidate), at: place)
    if best.count > Self.maximumCount { best.removeLast() }
  }

  private var worstRank: Int {
    guard best.count == Self.maximumCount, let last = best.last else { return Int.max }
    return last.rank
  }

  /// How far the candidate is: edits if they are few, else beyond that by how little the ends
  /// share.
  private mutating func rank(_ candidate: Name) -> Int? {
    let bytes = candidate.bytes
    let shorter = min(sought.count, bytes.count)
    var suffix = 0
    while suffix < shorter,
      sought[sought.count - 1 - suffix] == folded(bytes[bytes.endIndex - 1 - suffix])
    {
      suffix += 1
    }
    let limit = min(
      Self.maximumEdits, max(1, sought.count / 3), sought.count - 1, worstRank - 1)
    if limit > 0, abs(sought.count - bytes.count) <= limit, shorter <= Self.maximumByteCount {
      var prefix = 0
      while prefix < shorter - suffix,
        sought[prefix] == folded(bytes[bytes.startIndex + prefix])
      {
        prefix += 1
      }
      let edits = edits(
        sought[prefix..<sought.count - suffix], bytes.dropFirst(prefix).dropLast(suffix), limit)
      if edits <= limit { return edits }
    }
    if hasSuffix(bytes) { return Self.maximumEdits + 1 }
    guard sharesLastComponent(bytes, suffix: suffix) else { return nil }
    return Self.maximumEdits + 2 + max(0, Self.maximumByteCount - suffix) * Self.maximumByteCount
      + min(abs(sought.count - bytes.count), Self.maximumByteCount - 1)
  }

  /// Whether a candidate is the sought name and, behind `_`, a suffix of the same component.
  private func hasSuffix(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard !sought.isEmpty, bytes.count > sought.count,
      bytes.starts(with: sought, by: { folded($0) == $1 })
    else { return false }
    let suffix = bytes.dropFirst(sought.count)
    return suffix.first == UInt8(ascii: "_") && !suffix.contains(where: isSeparator)
  }

  private func sharesLastComponent(_ bytes: ArraySlice<UInt8>, suffix: Int) -> Bool {
    guard lastComponentCount > 0, suffix >= lastComponentCount else { return false }
    return suffix > lastComponentCount || bytes.count == suffix
      || isSeparator(bytes[bytes.endIndex - 1 - suffix])
  }

  /// The number of insertions, deletions, changes and swaps of neighbours, or more than `limit`.
  ///
  /// What divides components is folded on the left.
  private mutating func edits(
    _ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>, _ limit: Int
  ) -> Int {
    guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
    for column in 0...right.count { cells[column] = column }
    var (before, previous, current) = (2 * Self.width, 0, Self.width)
    for row in 1...left.count {
      cells[current] = row
      var least = row
      let from = left[left.startIndex + row - 1]
      for column in 1...right.count {
        let to = folded(right[right.startIndex + column - 1])
        var edits = min(
          cells[previous + column - 1] + (from == to ? 0 : 1), cells[previous + column] + 1,
          cells[current + column - 1] + 1)
        if row > 1, column > 1, from == folded(right[right.startIndex + column - 2]),
          to == left[left.startIndex + row - 2]
        {
          edits = min(edits, cells[before + column - 2] + 1)
        }
        cells[current + column] = edits
        least = min(least, edits)
      }
      stepsLeft -= right.count
      guard least <= limit, stepsLeft > 0 else { return limit + 1 }
      (before, previous, current) = (previous, current, before)
    }
    return cells[previous + right.count]
  }
}
