import SystemPackage
package import WarmstartKernel

/// Where lines for the operator go: they are written only where there is room for them.
///
/// Whoever logs may be the thread that feeds the watchdog, so it must never wait for somebody to read
/// the log. A line that does not fit is dropped and counted, and the next that fits is preceded by
/// one that says how many are missing. What is written at once is at most as long as what any pipe
/// that can be written to has room for.
package final class LogSink: Sendable {
  /// The most that is written at once, lines' ends included: what a pipe takes in one piece.
  ///
  /// See `pipe(7)`, PIPE_BUF.
  package static let maximumByteCount = 4096

  private let file: File
  private let isJournal: Bool
  /// The number of lines that were dropped since the last one that was written.
  ///
  /// Held while writing: the room that one thread found must not be taken by another.
  private let lost = Monitor(0)

  /// Makes a sink of a file that can be written to; the journal reads levels from lines' prefixes.
  package init(_ file: File, isJournal: Bool) {
    self.file = file
    self.isJournal = isJournal
  }

  /// Writes a line, or counts it as lost if it would have to wait or fails.
  package func write(_ level: Log.Level, _ text: String) {
    lost.withLock { lost in
      var bytes: [UInt8] = []
      if lost > 0 {
        let messages = lost == 1 ? "1 message is" : "\(lost) messages are"
        add(.warning, "\(messages) missing here: nobody read the log", to: &bytes)
      }
      // Together, for one of them alone might fill the pipe.
      add(level, text, to: &bytes)
      if put(bytes) { lost = 0 } else { lost += 1 }
    }
  }

  /// Adds a line, cut so that all are as long as may be written at once.
  private func add(_ level: Log.Level, _ text: String, to lines: inout [UInt8]) {
    let prefix = isJournal ? "<\(level.rawValue)>" : "warmstartd: "
    lines += Array(prefix.utf8) + Array(text.utf8)
    if lines.count >= LogSink.maximumByteCount {
      let ellipsis = Array("…".utf8)
      var end = LogSink.maximumByteCount - ellipsis.count - 1
      // Not within a character: its bytes but the first are 10xxxxxx.
      while lines[end] & 0xc0 == 0x80 { end -= 1 }
      lines = lines[..<end] + ellipsis
    }
    lines.append(UInt8(ascii: "\n"))
  }

  /// Writes lines if that needs no waiting; false if it does, or fails.
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
      // There is nobody to tell that the log is closed or full.
      return false
    }
  }
}
