import ArgumentParser
import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel

/// `watch` preloads each new checkpoint of a training run, and keeps the newest warm.
struct Watch: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Preload each new checkpoint that a directory's state file names, until it is ended.",
    discussion: """
      The newest checkpoint stays warm while the command runs and memory is not short, and is read \
      again if the daemon is restarted; `pin` keeps it in any case. What cannot be read is complained \
      about once, and tried again.
      """)

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var layout: LayoutOptions

  @Argument(help: "A directory with a state file, or another path of a checkpoint.")
  var checkpoint: String

  @Option(
    help: ArgumentHelp("How often to look for a new checkpoint.", valueName: "seconds"))
  var interval = 1.0

  @Flag(help: "Print a line of JSON for each checkpoint.")
  var json = false

  func validate() throws {
    guard interval >= 0.01, interval <= 86_400 else {
      throw ValidationError("--interval: expected 0.01 to 86400 seconds, not \(interval)")
    }
  }

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let daemon = connection.daemon
      var current: Checkpoint?
      var complaint = ""
      while true {
        do throws(Failure) {
          let newest = try daemon.open(checkpoint)
          // A daemon that was started anew holds nothing of what the one before it read.
          let isReady =
            current.map { $0.generation == newest.generation && $0.isLeased(besides: newest) }
          if isReady != true {
            let reading = try layout.preload(newest, daemon, isQuiet: json)
            try Output.write(json ? reading.json.line : reading.text("ready"))
            // The lease on the one before ends here, once its successor is ready.
            current = newest
          }
          complaint = ""
        } catch {
          if error.reason == .deadline { throw error }
          let said = json ? error.json.line : error.text
          if said != complaint { Output.complain(said) }
          complaint = said
        }
        Thread.sleep(milliseconds: Int(interval * 1000))
      }
    }
  }
}
