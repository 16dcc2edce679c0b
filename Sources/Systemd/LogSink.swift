import SystemPackage
package import WarmstartKernel

/// Writes lines for the operator if the log has room for them.
///
/// The thread that feeds the watchdog writes to the log too, so a write must never wait for the
/// log's reader. A line that does not fit is dropped and counted; the next line that fits follows a
/// line with the count. A single write is short enough for any pipe that poll(2) calls writable.
package final class LogSink: Sendable {
  /// The most bytes of one write, newlines included: what a pipe takes in one piece.
  ///
  /// See `pipe(7)`, PIPE_BUF.
  package static let maximumByteCount = 4096

  private let file: File
  private let isJournal: Bool
  /// The number of lines dropped since the last one that was written.
  ///
  /// The lock is held during a write, so that no other thread takes the room that was found.
  private let lost = Monitor(0)

  /// Makes a sink from a writable file; for the journal, each line's prefix has its level.
  package init(_ file: File, isJournal: Bool) {
    self.file = file
    self.isJournal = isJournal
  }

  /// Writes a line, or counts it as dropped if the write would wait or fails.
  package func write(_ level: Log.Level, _ text: String) {
    lost.withLock { lost in
      var bytes: [UInt8] = []
      if lost > 0 {
        let messages = lost == 1 ? "1 message" : "\(lost) messages"
        add(.warning, "\(messages) dropped because the log was full", to: &bytes)
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
    if lines.count >= LogSink.maximumByteCount {
      let ellipsis = Array("…".utf8)
      var end = LogSink.maximumByteCount - ellipsis.count - 1
      // The cut must not split a character, whose bytes after the first are 10xxxxxx.
      while lines[end] & 0xc0 == 0x80 { end -= 1 }
      lines = lines[..<end] + ellipsis
    }
    lines.append(UInt8(ascii: "\n"))
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
