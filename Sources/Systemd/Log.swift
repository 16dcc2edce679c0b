import WarmstartKernel

/// Messages for the operator: entries of the journal, or lines on standard error.
package enum Log {
  /// How much a message matters.
  ///
  /// See `syslog(3)`.
  package enum Level: Int, Sendable {
    case error = 3
    case warning = 4
    case notice = 5
    case information = 6
  }

  /// Writes an event, or drops it if the write would wait for the log's reader.
  package static func write(_ event: LogEvent) { sink.write(event) }

  /// Writes a line, or drops it if the write would wait for the log's reader.
  ///
  /// The caller must have escaped any text from clients.
  package static func write(_ level: Level, _ text: String) { sink.write(level, text) }

  /// Waits a little until the journal has read what was written: it learns only from a process that
  /// still runs which unit the entry belongs to.
  ///
  /// Call it before the process ends.
  package static func settle() { sink.settle() }

  /// Whether standard error leads to the journal.
  package static var isJournal: Bool { sink.isJournal }

  /// Standard error, which stays open.
  private static let sink: LogSink = {
    let file = File(Descriptor(adopting: 2))
    guard let name = Process.environment("JOURNAL_STREAM"), Journal.reads(file, named: name) else {
      return LogSink(file, isJournal: false)
    }
    return LogSink(file, isJournal: true, journal: try? Journal())
  }()
}
