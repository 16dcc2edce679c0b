import ArgumentParser
import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel

/// The command: what people and scripts ask the daemon with.
@main
struct Warmstartctl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "warmstartctl",
    abstract: "Ask warmstartd for checkpoints, or about itself.",
    discussion: """
      Exits with 0, or with 1 and `warmstartctl: CODE (REASON): message` on standard error (with \
      --json: {"error": …} as the last line there), or with 64 if the command line is wrong.
      """,
    version: "warmstartctl 0.1.0",
    subcommands: [List.self, Resolve.self, Status.self, Health.self])

  @OptionGroup var connection: ConnectionOptions

  /// Runs what the command line says; of a subcommand that is none it says which there are.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      exit(withError: unknownSubcommand(among: CommandLine.arguments.dropFirst()) ?? error)
    }
  }

  /// What is wrong if the first word of the arguments is no subcommand.
  static func unknownSubcommand(
    among arguments: some Sequence<String>
  ) -> ValidationError? {
    let known = configuration.subcommands.compactMap { $0.configuration.commandName }
    var isValue = false
    for argument in arguments {
      if isValue {
        isValue = false
      } else if argument == "--socket" || argument == "--timeout" {
        isValue = true
      } else if !argument.hasPrefix("-") {
        guard !known.contains(argument), argument != "help" else { return nil }
        var nearest = NearestNames(to: Name(argument))
        for name in known { nearest.offer(Name(name)) }
        let meant = nearest.names.first.map { "; did you mean \($0)?" } ?? ""
        return ValidationError(
          "there is no subcommand '\(argument)', only \(known.joined(separator: ", "))\(meant)")
      }
    }
    return nil
  }
}

/// Where the daemon is and how long to wait for it: options that may stand before or after the subcommand.
struct ConnectionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the daemon listens (default: $WARMSTART_SOCKET, else the system's socket, else the user's).",
      valueName: "path"))
  var socket: String?

  @Option(
    help: ArgumentHelp(
      "Give up when the daemon has not answered by then (default: never; 5 for status, 2 for health).",
      valueName: "seconds"))
  var timeout: Double?

  func validate() throws {
    // An hour count that no `Duration` in milliseconds can overflow; chosen, not tuned.
    guard let timeout, !(timeout > 0 && timeout <= 1e9) else { return }
    throw ValidationError("--timeout needs a positive number of seconds, not \(timeout)")
  }

  /// The daemon, as this command line names it.
  var daemon: Daemon { daemon(timeout: nil) }

  /// The daemon, which has so many seconds to answer unless the command line says how many.
  func daemon(timeout usual: Double?) -> Daemon {
    let end = (timeout ?? usual).map { ContinuousClock.now.advanced(by: .seconds($0)) }
    var notice: (@Sendable () -> Void)?
    if Process.hasTerminal {
      notice = { Output.complain("warmstartctl: waiting for the daemon to start …\n") }
    }
    let client = Client(socket: socket, label: "warmstartctl", whileWaiting: notice)
    return Daemon(client: client, end: end)
  }
}

/// The daemon, and the time until which it may answer: one for all calls of a command.
struct Daemon {
  let client: Client
  let end: ContinuousClock.Instant?

  /// What is left of the time; an instant that has passed leaves a moment, so that the call itself
  /// says that it is late.
  private var timeLeft: Duration? {
    end.map { max(.milliseconds(1), ContinuousClock.now.duration(to: $0)) }
  }

  /// Makes a call with the time that is left.
  func call<Answer>(
    _ body: (Client, Duration?) throws(WarmstartError) -> Answer
  ) throws(Failure) -> Answer {
    do { return try body(client, timeLeft) } catch { throw Failure(error) }
  }
}
