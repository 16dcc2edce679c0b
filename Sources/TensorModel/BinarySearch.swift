extension RandomAccessCollection {
  /// Returns the index of the first element that satisfies the condition, by binary search.
  ///
  /// Every element that fails the condition must come before all that satisfy it, as in a sorted
  /// collection with the condition `$0 >= sought`. To search other numbered things, call it on the
  /// range of their positions.
  ///
  /// - Returns: The index, or `endIndex` if no element satisfies the condition.
  @inlinable
  package func partitioningIndex(where isBehind: (Element) -> Bool) -> Index {
    var start = startIndex
    var count = count
    while count > 0 {
      let half = count / 2
      let middle = index(start, offsetBy: half)
      if isBehind(self[middle]) {
        count = half
      } else {
        start = index(after: middle)
        count -= half + 1
      }
    }
    return start
  }
}
