import CWarmstartLinux
package import SystemPackage

/// Something that happens once and that any number of threads can poll for.
///
/// See `eventfd(2)`.
package final class Event: Sendable {
  /// Readable once the event has happened.
  package let descriptor: Descriptor

  package init() throws(Errno) {
    descriptor = Descriptor(adopting: try checked(clinux_event()))
  }

  /// Makes the event happen; signalling again has no further effect.
  package func signal() {
    let one: UInt64 = 1
    // The only failure is EAGAIN, after 2^64 signals.
    _ = unsafe withUnsafeBytes(of: one) {
      unsafe clinux_write(descriptor.number, $0.baseAddress, 8)
    }
  }

  /// Makes the event able to happen again.
  package func reset() {
    var count: UInt64 = 0
    _ = unsafe withUnsafeMutableBytes(of: &count) {
      unsafe clinux_read(descriptor.number, $0.baseAddress, 8)
    }
  }
}
