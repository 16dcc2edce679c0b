import CWarmstartLinux
package import SystemPackage

/// Waits for one descriptor, or for any of several.
///
/// See `poll(2)`.
package struct Poll: Sendable {
  /// What a wait can be for, and what it can see.
  package struct Events: OptionSet, Sendable {
    package let rawValue: Int16
    package init(rawValue: Int16) { self.rawValue = rawValue }
    /// Bytes, a connection or the end can be read.
    package static let readable = Events(rawValue: Int16(CLINUX_POLL_READABLE))
    /// Bytes can be written.
    package static let writable = Events(rawValue: Int16(CLINUX_POLL_WRITABLE))
    /// The peer has closed, or the descriptor has failed; a failure is always seen.
    package static let hangUp = Events(rawValue: Int16(CLINUX_POLL_HANGUP))
  }

  /// Waits for one descriptor; returns what was seen of it, or nil at the deadline.
  package static func wait(
    for events: Events, of descriptor: borrowing Descriptor, until deadline: Deadline
  ) throws(Errno) -> Events? {
    var entry = clinux_poll(descriptor: descriptor.number, wanted: events.rawValue, seen: 0)
    let isReady = try wait(until: deadline) { timeout in unsafe clinux_poll(&entry, 1, timeout) }
    return isReady ? Events(rawValue: entry.seen) : nil
  }

  private var entries: [clinux_poll] = []

  package init() {}

  /// Adds a descriptor, which must stay open while this value is used.
  package mutating func add(_ descriptor: borrowing Descriptor, for events: Events) {
    entries.append(
      clinux_poll(descriptor: descriptor.number, wanted: events.rawValue, seen: 0))
  }

  /// Waits until one is ready or the deadline passes; false at the deadline.
  package mutating func wait(until deadline: Deadline) throws(Errno) -> Bool {
    try Poll.wait(until: deadline) { timeout in
      unsafe clinux_poll(&entries, entries.count, timeout)
    }
  }

  private static func wait(
    until deadline: Deadline, _ poll: (CInt) -> CInt
  ) throws(Errno) -> Bool {
    while true {
      let remaining = deadline.remainingMilliseconds
      let timeout = CInt(min(remaining ?? -1, Int(CInt.max)))
      if try checked(poll(timeout)) > 0 { return true }
      if let remaining, remaining <= Int(CInt.max), deadline.hasPassed { return false }
    }
  }

  /// What the last wait saw of the descriptor that was added at the position.
  package func seen(_ position: Int) -> Events { Events(rawValue: entries[position].seen) }
}
