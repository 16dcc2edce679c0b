package import SystemPackage
package import WarmstartKernel

/// The journal, which takes entries with fields.
///
/// This sends what `sd_journal_sendv(3)` would send, but never waits: that function waits while the
/// journal's queue is full, and the thread that feeds the watchdog logs, too. See
/// <https://systemd.io/JOURNAL_NATIVE_PROTOCOL>.
package struct Journal: Sendable {
  private let socket: DatagramSocket
  private let path: FilePath

  /// Makes a connection to the journal; tests name another socket.
  package init(at path: FilePath = "/run/systemd/journal/socket") throws(Errno) {
    socket = try DatagramSocket()
    self.path = path
  }

  /// Whether a file is the stream that the service manager connected to the journal.
  ///
  /// - Parameter name: The value of JOURNAL_STREAM, the stream's device and inode. See
  ///   `systemd.exec(5)`.
  package static func reads(_ file: File, named name: String) -> Bool {
    guard let status = try? file.status() else { return false }
    return name == "\(status.device):\(status.inode)"
  }

  /// Sends an entry.
  ///
  /// - Throws: EAGAIN if the journal's queue is full.
  func send(_ event: LogEvent) throws(Errno) {
    var entry: [UInt8] = []
    add("MESSAGE", LogSink.cut(event.text, to: LogSink.maximumByteCount), to: &entry)
    add("PRIORITY", "\(event.kind.level.rawValue)", to: &entry)
    add("MESSAGE_ID", event.kind.rawValue, to: &entry)
    add("SYSLOG_IDENTIFIER", "warmstartd", to: &entry)
    for (field, value) in event.fields { add(field.rawValue, value, to: &entry) }
    try socket.send(entry.rawSpan, to: path)
  }

  /// Adds a field: with its length, because a text may contain the newline that would end it.
  private func add(_ name: String, _ value: String, to entry: inout [UInt8]) {
    let bytes = Array(value.utf8)
    entry += Array(name.utf8)
    entry.append(UInt8(ascii: "\n"))
    for shift in stride(from: 0, to: 64, by: 8) {
      entry.append(UInt8(truncatingIfNeeded: bytes.count >> shift))
    }
    entry += bytes
    entry.append(UInt8(ascii: "\n"))
  }

  /// The longest wait of `settle`, in milliseconds; chosen, not tuned.
  private static let settleMilliseconds = 250
  /// How long the journal may take for an entry that it has received; chosen, not tuned.
  private static let readingMilliseconds = 5

  /// Waits until the journal has received all entries, but not long.
  func settle() {
    let end = Deadline.after(milliseconds: Journal.settleMilliseconds)
    while socket.hasUnread, !end.hasPassed { Thread.sleep(milliseconds: 1) }
    Thread.sleep(milliseconds: Journal.readingMilliseconds)
  }
}
