/// A value that is made when it is first asked for.
///
/// All lazy values of a process share one lock, which is held for a moment, so that one that is
/// never asked for costs no lock of its own.
@safe
package final class Lazy<Value: Sendable>: @unchecked Sendable {
  // Only touched while the lock is held, which is what makes the class Sendable.
  private var made: Value?

  /// Makes no value yet.
  package init() {}

  /// The value; threads that ask for the first time at once may each make one, and all get the
  /// same.
  package func value(_ make: () -> Value) -> Value {
    if let made = lock.withLock({ _ in made }) { return made }
    let new = make()
    return lock.withLock { _ in
      if let made { return made }
      made = new
      return new
    }
  }
}

/// Guards all lazy values.
private let lock = Monitor(())
