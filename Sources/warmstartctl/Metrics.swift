import ArgumentParser
import WarmstartClient
import WarmstartTensorModel

/// `metrics` prints the status for monitoring systems.
struct Metrics: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics",
    abstract: "Print what the daemon holds as OpenMetrics text.",
    discussion: """
      For a collector of text files, such as Prometheus' node_exporter. At the administrators' \
      socket the metrics have the checkpoints of all users.
      """)

  @OptionGroup var connection: ConnectionOptions

  func run() throws {
    try Failure.reporting(asJSON: false) { () throws(Failure) in
      let daemon = connection.daemon(timeout: 5, at: { Client.statusSocketPath })
      let report = try daemon.call { client, timeout throws(WarmstartError) in
        try client.status(timeout: timeout)
      }
      try Output.write(OpenMetrics(report).text)
    }
  }
}

/// A status report as OpenMetrics text, version 1.0.0.
struct OpenMetrics {
  private(set) var text = ""

  init(_ report: StatusReport) {
    // A gauge, not OpenMetrics' info: node_exporter refuses a file with a type that Prometheus' older
    // text format lacks.
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
      "Arenas that clients keep although they gave the checkpoint back.",
      report.keptArenaByteCount)
    let checkpoints = report.checkpoints.map { checkpoint in
      (labels: [("generation", checkpoint.generation), ("path", checkpoint.label)], checkpoint)
    }
    let families: [(String, String, (StatusReport.Checkpoint) -> Int)] = [
      ("bytes", "Stored bytes of a checkpoint.", { $0.byteCount }),
      ("verified_bytes", "Bytes whose checksums matched.", { $0.verifiedByteCount }),
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
      add(counter.name, .counter, "Events since the daemon started.", counter.value)
    }
    text += "# EOF\n"
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
    text += "# TYPE \(family) \(kind.rawValue)\n"
    for unit in ["bytes", "seconds"] where name.hasSuffix("_\(unit)") {
      text += "# UNIT \(family) \(unit)\n"
    }
    text += "# HELP \(family) \(help)\n"
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
