package import CWarmstartLinux

/// A number that any thread may read and change without a lock.
///
/// For counters and flags that no other state depends on: changes are atomic, but order nothing
/// else.
@safe
package final class AtomicNumber: @unchecked Sendable {
  // Only touched by atomic instructions, which is what makes the class Sendable.
  @usableFromInline let place: UnsafeMutablePointer<clinux_atomic>

  package init(_ value: Int = 0) {
    unsafe place = .allocate(capacity: 1)
    unsafe place.initialize(to: clinux_atomic(value: Int64(value)))
  }

  deinit {
    unsafe place.deallocate()
  }

  @inlinable package var value: Int { Int(unsafe clinux_atomic_load(place)) }

  /// Adds to the number, which wraps around.
  @inlinable package func add(_ amount: Int) {
    unsafe clinux_atomic_add(place, Int64(amount))
  }

  /// Replaces the number and returns what it was.
  @inlinable package func exchange(_ value: Int) -> Int {
    Int(unsafe clinux_atomic_exchange(place, Int64(value)))
  }
}
