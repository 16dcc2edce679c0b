import CWarmstartLinux
package import SystemPackage

/// A file descriptor that this value owns, and closes when it ends.
///
/// Moving the value passes it on.
///
/// See `close(2)`.
@safe
package struct Descriptor: ~Copyable, Sendable {
  let number: CInt

  /// Takes over a descriptor, which no other code may close from now on.
  package init(adopting number: CInt) {
    precondition(number >= 0)
    self.number = number
  }

  deinit {
    // EBADF means that other code closed our number. It may soon belong to another file.
    precondition(clinux_close(number) != -CInt(Errno.badFileDescriptor.rawValue))
  }

  /// Makes another descriptor for the same open file description.
  ///
  /// See `fcntl(2)`, F_DUPFD_CLOEXEC.
  package borrowing func duplicate() throws(Errno) -> Descriptor {
    Descriptor(adopting: try checked(clinux_duplicate(number)))
  }

  /// Gives up ownership: the caller must close the returned number.
  package consuming func release() -> CInt {
    let number = number
    discard self
    return number
  }

  /// The number, for code that uses it while this value lives, for example in an environment
  /// variable.
  package borrowing func borrowedNumber() -> CInt { number }
}

/// Throws CLinux's `-errno` as an error; traps on EFAULT, which is a bug in this process.
func checked<Result: FixedWidthInteger & SignedInteger>(_ result: Result) throws(Errno) -> Result {
  guard result < 0 else { return result }
  let errno = Errno(rawValue: CInt(-Int(result)))
  precondition(errno != .badAddress)
  throw errno
}
