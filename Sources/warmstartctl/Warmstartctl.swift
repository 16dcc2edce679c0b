import ArgumentParser
import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel

/// The command with which people and scripts ask the daemon.
@main
struct Warmstartctl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "warmstartctl",
    abstract: "Ask warmstartd about checkpoints, for their tensors, or about itself.",
    discussion: """
      Exits with 0, or with 1 and `warmstartctl: CODE (REASON): message` on standard error (with \
      --json: {"error": …} as the last line there), or with 64 if the command line is wrong.
      """,
    version: "warmstartctl 0.1.0",
    subcommands: [
      List.self, Resolve.self, Preload.self, Verify.self, Watch.self, Pin.self, Unpin.self,
      Evict.self, Status.self, Metrics.self, Health.self, Describe.self,
    ])

  @OptionGroup var connection: ConnectionOptions

  /// Runs the subcommand; an unknown one fails with the list of known ones.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      exit(withError: unknownSubcommand(among: CommandLine.arguments.dropFirst()) ?? error)
    }
  }

  /// The options before a subcommand whose value is the next argument.
  private static let valued = ["--socket", "--timeout", "--generate-completion-script"]

  /// Returns the error if the first word of the arguments is not a subcommand.
  static func unknownSubcommand(
    among arguments: some Sequence<String>
  ) -> ValidationError? {
    let known = configuration.subcommands.compactMap { $0.configuration.commandName }
    var isValue = false
    for argument in arguments {
      if isValue {
        isValue = false
      } else if valued.contains(argument) {
        isValue = true
      } else if !argument.hasPrefix("-") {
        guard !known.contains(argument), argument != "help" else { return nil }
        var nearest = NearestNames(to: Name(argument))
        for name in known { nearest.offer(Name(name)) }
        let meant = nearest.names.first.map { "; did you mean \($0)?" } ?? ""
        return ValidationError(
          "unknown subcommand '\(argument)', expected \(known.joined(separator: ", "))\(meant)")
      }
    }
    return nil
  }
}

/// The options that may stand before or after the subcommand: the daemon's socket and the timeout.
struct ConnectionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The daemon's socket (default: $WARMSTART_SOCKET, else the system's if this user may use it, \
      else the user's; for pin, unpin and evict the administrators', and for status and metrics too \
      if this user may use it).
      """, valueName: "path"))
  var socket: String?

  @Option(
    help: ArgumentHelp(
      """
      Give up if the command takes longer (default: never; 5 for status, metrics and describe, 2 for health).
      """, valueName: "seconds"))
  var timeout: Double?

  func validate() throws {
    // Some 30 years, which fit a count of milliseconds; chosen, not tuned.
    guard let timeout, !(timeout > 0 && timeout <= 1e9) else { return }
    throw ValidationError("--timeout: expected a positive number of seconds, not \(timeout)")
  }

  /// The daemon that this command line names.
  var daemon: Daemon { daemon(timeout: nil) }

  /// Returns the daemon, with the usual timeout in seconds unless the command line sets one.
  ///
  /// - Parameter path: Returns where to connect unless the command line says it; by default where a
  ///   client does.
  func daemon(timeout usual: Double?, at path: () -> String? = { nil }) -> Daemon {
    let end = (timeout ?? usual).map { ContinuousClock.now.advanced(by: .seconds($0)) }
    var notice: (@Sendable () -> Void)?
    if Process.hasTerminal {
      notice = { Output.complain("warmstartctl: waiting for the daemon to start …\n") }
    }
    let client = Client(socket: socket ?? path(), label: "warmstartctl", whileWaiting: notice)
    return Daemon(client: client, end: end)
  }
}

/// The daemon, and the deadline for all calls of a command.
struct Daemon {
  let client: Client
  let end: ContinuousClock.Instant?

  /// The time that is left; after the deadline 1 ms, so that the call itself reports the timeout.
  private var timeLeft: Duration? {
    end.map { max(.milliseconds(1), ContinuousClock.now.duration(to: $0)) }
  }

  /// Makes a call with the remaining time.
  func call<Answer>(
    _ body: (Client, Duration?) throws(WarmstartError) -> Answer
  ) throws(Failure) -> Answer {
    do { return try body(client, timeLeft) } catch { throw Failure(error) }
  }
}
