import ArgumentParser
import WarmstartClient
import WarmstartTensorModel

/// `health` tells scripts and schedulers by its exit status whether the daemon serves.
struct Health: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "health",
    abstract: "Exit with 0 if the daemon serves, else with 1.")

  @OptionGroup var connection: ConnectionOptions

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let daemon = connection.daemon(timeout: 2)
      let isServing = try daemon.call { client, timeout throws(WarmstartError) in
        try client.isServing(timeout: timeout)
      }
      guard isServing else { throw Failure(.draining, "the daemon is stopping and does not serve") }
      try Output.write(json ? JSON.object([("status", .text("SERVING"))]).line : "SERVING\n")
    }
  }
}
