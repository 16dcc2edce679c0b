import ArgumentParser
import WarmstartClient
import WarmstartMessages
import WarmstartTensorModel

/// `metrics` prints the status for monitoring systems.
struct Metrics: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics",
    abstract: "Print what the daemon holds for monitoring systems.",
    discussion: """
      For Prometheus' node_exporter use --format text. At the administrators' socket the metrics have \
      the checkpoints of all users.
      """)

  /// A form of the text.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case openmetrics
    case text
  }

  @OptionGroup var connection: ConnectionOptions

  @Option(help: "OpenMetrics 1.0, or Prometheus' older text, which node_exporter reads.")
  var format = Format.openmetrics

  func run() throws {
    try Failure.reporting(asJSON: false) { () throws(Failure) in
      let daemon = connection.daemon(timeout: 5, at: { Client.statusSocketPath })
      let report = try daemon.call { client, timeout throws(WarmstartError) in
        try client.status(timeout: timeout)
      }
      try Output.write(OpenMetrics(report, as: format == .text ? .text : .openMetrics).text)
    }
  }
}
