extension Range<Int> {
  /// Finds the first position for which a condition holds, by halving the range.
  ///
  /// The condition must hold for all positions after one for which it holds. Returns the end of the
  /// range if it holds for none. The only binary search of the project.
  @inlinable
  package func firstPosition<Failure>(
    where holds: (Int) throws(Failure) -> Bool
  ) throws(Failure) -> Int {
    var (low, high) = (lowerBound, upperBound)
    while low < high {
      // No sum of both: it could overflow.
      let middle = low + (high - low) / 2
      if try holds(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
