import SystemPackage
package import WarmstartKernel

/// Writes entries of the journal, or lines, if the log has room for them.
///
/// The thread that feeds the watchdog writes to the log too, so a write must never wait for the
/// log's reader. What does not fit is dropped and counted; the next message that fits follows a
/// message with the count. A single write of lines is short enough for any pipe that poll(2) calls
/// writable.
package final class LogSink: Sendable {
  /// The most bytes of one write, newlines included: what a pipe takes in one piece.
  ///
  /// See `pipe(7)`, PIPE_BUF.
  package static let maximumByteCount = 4096

  private let file: File
  let isJournal: Bool
  private let journal: Journal?
  /// The number of lines dropped since the last one that was written.
  ///
  /// The lock is held during a write, so that no other thread takes the room that was found.
  private let lost = Monitor(0)

  /// Makes a sink from a writable file.
  ///
  /// - Parameters:
  ///   - isJournal: Whether the journal reads the file's lines, and the level at the start of each.
  ///     See `sd-daemon(3)`, SD_WARNING.
  ///   - journal: Where events go as entries with fields; nil if they go to the file as lines.
  package init(_ file: File, isJournal: Bool, journal: Journal? = nil) {
    self.file = file
    self.isJournal = isJournal
    self.journal = journal
  }

  /// Writes an event, or counts it as dropped if the write would wait or fails.
  package func write(_ event: LogEvent) {
    guard let journal else { return write(event.kind.level, event.text) }
    let isWritten = lost.withLock { lost -> Bool in
      do throws(Errno) {
        if lost > 0 {
          let text = LogSink.droppedText(lost)
          try journal.send(LogEvent(.dropped, text, [(.count, "\(lost)")]))
          lost = 0
        }
        try journal.send(event)
      } catch .wouldBlock {
        lost += 1
      } catch {
        return false
      }
      return true
    }
    // The journal's socket cannot be reached, perhaps from within a sandbox.
    if !isWritten { write(event.kind.level, event.text) }
  }

  /// Waits a little until the journal has received the entries.
  package func settle() { journal?.settle() }

  private static func droppedText(_ count: Int) -> String {
    "\(count) message\(count == 1 ? "" : "s") dropped because the log was full"
  }

  /// Writes a line, or counts it as dropped if the write would wait or fails.
  package func write(_ level: Log.Level, _ text: String) {
    lost.withLock { lost in
      var bytes: [UInt8] = []
      if lost > 0 {
        add(.warning, LogSink.droppedText(lost), to: &bytes)
      }
      // Both lines go in one write, because the first alone might fill the pipe.
      add(level, text, to: &bytes)
      if put(bytes) { lost = 0 } else { lost += 1 }
    }
  }

  /// Adds a line, cut so that all lines together fit one write.
  private func add(_ level: Log.Level, _ text: String, to lines: inout [UInt8]) {
    let prefix = isJournal ? "<\(level.rawValue)>" : "warmstartd: "
    lines += Array(prefix.utf8) + Array(text.utf8)
    LogSink.cut(&lines, to: LogSink.maximumByteCount - 1)
    lines.append(UInt8(ascii: "\n"))
  }

  /// Cuts a text of more than a number of bytes.
  static func cut(_ text: String, to maximumByteCount: Int) -> String {
    guard text.utf8.count > maximumByteCount else { return text }
    var bytes = Array(text.utf8)
    cut(&bytes, to: maximumByteCount)
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func cut(_ bytes: inout [UInt8], to maximumByteCount: Int) {
    guard bytes.count > maximumByteCount else { return }
    let ellipsis = Array("…".utf8)
    var end = maximumByteCount - ellipsis.count
    // The cut must not split a character, whose bytes after the first are 10xxxxxx.
    while bytes[end] & 0xc0 == 0x80 { end -= 1 }
    bytes = bytes[..<end] + ellipsis
  }

  /// Writes lines and returns true, or false if the write would wait or fails.
  private func put(_ lines: [UInt8]) -> Bool {
    var poll = Poll()
    poll.add(file.descriptor, for: .writable)
    do throws(Errno) {
      guard try poll.wait(until: .after(milliseconds: 0)), poll.seen(0).contains(.writable) else {
        return false
      }
      try file.write(lines.rawSpan)
      return true
    } catch {
      // There is nowhere to report that the log is closed or full.
      return false
    }
  }
}
