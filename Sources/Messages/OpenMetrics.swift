/// A status report as text for monitoring systems.
///
/// `Metrics.md` explains each metric; a test compares the two.
package struct OpenMetrics {
  /// A form of the text.
  package enum Format: Sendable {
    /// OpenMetrics, version 1.0.0.
    case openMetrics
    /// Prometheus' older text, version 0.0.4, in which the type of a counter names its samples.
    case text

    /// The media type, as a client asks for it.
    package var mediaType: String {
      switch self {
      case .openMetrics: "application/openmetrics-text"
      case .text: "text/plain"
      }
    }

    /// The media type with its parameters, as an answer names it.
    package var contentType: String {
      switch self {
      case .openMetrics: "\(mediaType); version=1.0.0; charset=utf-8"
      case .text: "\(mediaType); version=0.0.4; charset=utf-8"
      }
    }
  }

  package private(set) var text = ""
  private let format: Format

  /// Makes the text of a report.
  package init(_ report: StatusReport, as format: Format) {
    self.format = format
    // A gauge, not OpenMetrics' info: node_exporter refuses a file with a type that Prometheus'
    // older text format lacks.
    add("build_info", .gauge, "The daemon's version.", [([("version", report.daemonVersion)], 1)])
    add(
      "uptime_seconds", .gauge, "The time since the daemon started.",
      report.uptimeMilliseconds / 1000)
    add("clients", .gauge, "Connections of all users.", report.clientCount)
    add("leases", .gauge, "Leases of all clients.", report.leaseCount)
    add(
      "warm_bytes", .gauge, "Bytes of files in the page cache, and of arenas.",
      report.warmByteCount)
    add("arena_bytes", .gauge, "Bytes in arenas.", report.arenaByteCount)
    add(
      "huge_arena_bytes", .gauge, "The part of arena_bytes in huge pages.",
      report.hugeArenaByteCount)
    add("budget_bytes", .gauge, "The most bytes for arenas and indexes.", report.budgetByteCount)
    add("charged_bytes", .gauge, "Bytes of the budget in use.", report.chargedByteCount)
    add(
      "kept_arena_bytes", .gauge,
      "Arenas that the daemon dropped and clients still map.",
      report.keptArenaByteCount)
    let checkpoints = report.checkpoints.map { checkpoint in
      (labels: [("generation", checkpoint.generation), ("path", checkpoint.label)], checkpoint)
    }
    let families: [(String, String, (StatusReport.Checkpoint) -> Int)] = [
      ("bytes", "Stored bytes of a checkpoint.", { $0.byteCount }),
      (
        "verified_bytes",
        "Bytes that were read, and whose checksums matched if the format has any.",
        { $0.verifiedByteCount }
      ),
      ("cached_bytes", "Bytes of files in the page cache, an estimate.", { $0.cachedByteCount }),
      ("arena_bytes", "Bytes in a checkpoint's arenas.", { $0.arenaByteCount }),
      ("huge_arena_bytes", "The part of arena_bytes in huge pages.", { $0.hugeArenaByteCount }),
      ("leases", "Leases on a checkpoint.", { $0.leaseCount }),
      ("pinned", "Whether a checkpoint is pinned.", { $0.isPinned ? 1 : 0 }),
      ("idle_seconds", "The time since the last lease.", { $0.idleMilliseconds / 1000 }),
    ]
    for (name, help, value) in families {
      add("checkpoint_\(name)", .gauge, help, checkpoints.map { ($0.labels, value($0.1)) })
    }
    for counter in report.counters {
      add(counter.name, .counter, OpenMetrics.help(ofCounter: counter.name), counter.value)
    }
    if format == .openMetrics { text += "# EOF\n" }
  }

  private static func help(ofCounter name: String) -> String {
    switch name {
    case "opens": "Times that a client opened a checkpoint."
    case "indexes_parsed": "Indexes of checkpoints that were read."
    case "loads_begun": "Parts of checkpoints that were read for a client."
    case "loads_awaited": "Times that a client waited for what another client loads."
    case "runs_verified":
      "Stored tensors or slices that were read, and whose checksums matched if the format has any."
    case "arenas_made": "Arenas that were made."
    case "pieces_made": "Tensors or slices that were put into arenas."
    case "repeated_answers": "Calls that were answered with a remembered answer."
    case "checkpoints_evicted": "Checkpoints that were dropped."
    case "pins_rewarmed": "Times that a pinned checkpoint was read again."
    case "room_refused": "Requests for memory or files that were refused."
    case "checksum_failures": "Calls that failed because bytes did not match their checksum."
    case "checkpoints_restored": "Checkpoints taken over from the last process."
    case "arenas_restored": "Arenas taken over from the last process."
    default: "Events since the daemon started."
    }
  }

  private enum Kind: String {
    case gauge, counter

    /// What the names of a family's samples have in addition.
    var suffix: String {
      switch self {
      case .gauge: ""
      case .counter: "_total"
      }
    }
  }

  private mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Int) {
    add(name, kind, help, [([], value)])
  }

  /// Adds a family of metrics with a sample for each set of labels.
  private mutating func add(
    _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], Int)]
  ) {
    let family = "warmstart_\(name)"
    let described = format == .text ? family + kind.suffix : family
    text += "# TYPE \(described) \(kind.rawValue)\n"
    for unit in ["bytes", "seconds"] where format == .openMetrics && name.hasSuffix("_\(unit)") {
      text += "# UNIT \(family) \(unit)\n"
    }
    text += "# HELP \(described) \(help)\n"
    for (labels, value) in samples {
      let set = labels.map { "\($0.0)=\"\(OpenMetrics.escaped($0.1))\"" }.joined(separator: ",")
      text += family + kind.suffix + (set.isEmpty ? "" : "{\(set)}") + " \(value)\n"
    }
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += #"\\"#
      case "\"": escaped += #"\""#
      case "\n": escaped += #"\n"#
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
