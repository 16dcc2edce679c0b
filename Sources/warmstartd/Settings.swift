import WarmstartConfiguration
import WarmstartKernel
import WarmstartServer
import WarmstartStore
import WarmstartSystemd

/// Where the daemon's configuration comes from, and what it is now.
///
/// A reload reads the files again. Options stay what they were and win over the files.
final class Settings: Sendable {
  private let options: [Assignment]
  private let files: ConfigurationFiles
  private let current = Monitor(Configuration())
  /// The configuration with which the daemon started.
  private let first: Configuration

  /// Reads the files that the options name, or those of the unit; a check without a unit reads
  /// those of the system's daemon.
  ///
  /// - Parameter note: Called with the path of each file that is read, and whether it is masked.
  /// - Throws: All that is wrong with them, or with the options.
  init(
    _ options: Options, noting note: (String, Bool) -> Void = { _, _ in }
  ) throws(StartError) {
    self.options = options.assignments
    files = Settings.files(options)
    do { _ = try Configuration(self.options) } catch {
      throw StartError(error.problems.map { "\($0) (see warmstartd --help)" }, status: .usage)
    }
    let configuration: Configuration
    do { configuration = try Configuration(files.read(noting: note) + self.options) } catch {
      throw StartError(error.problems, status: .configuration)
    }
    first = configuration
    current.withLock { $0 = configuration }
  }

  /// The files that the options name, or those of the unit.
  static func files(_ options: Options) -> ConfigurationFiles {
    if let file = options.file { return ConfigurationFiles(file: file) }
    if let directory = Process.environment("CONFIGURATION_DIRECTORY") {
      return ConfigurationFiles(directory: directory)
    }
    return options.checks ? .system : .none
  }

  /// The configuration as it was last read without an error.
  var configuration: Configuration { current.withLock { $0 } }

  private func read() throws(ConfigurationError) -> Configuration {
    try Configuration(files.read() + options)
  }

  /// Reads the files again, and logs what changes or what is wrong with them.
  ///
  /// - Parameter hasPassedSockets: Whether the service manager passed the sockets, so that the
  ///   settings of sockets have no effect.
  func reload(_ machine: Machine, hasPassedSockets: Bool) -> Daemon.ReloadOutcome {
    switch Result(catching: { () throws(ConfigurationError) in try read() }) {
    case .failure(let error):
      for problem in error.problems {
        Log.write(LogEvent(.reloadRefused, "reload refused: \(problem)"))
      }
      return .refused(error.problems[0])
    case .success(let configuration):
      current.withLock { $0 = configuration }
      let limits = machine.limits(configuration)
      // Compared with the start: a setting waits until a restart, however many reloads come before.
      let fixed = configuration.differences(from: first).filter(\.isFixed).map(\.rawValue)
      let fault =
        hasPassedSockets
        ? "it has no effect, because the service manager passed the sockets"
        : "it is used only when the daemon starts: restart it"
      for setting in fixed {
        Log.write(LogEvent(.doubtfulSetting, "\(setting) was changed, but \(fault)"))
      }
      let waiting = hasPassedSockets ? [] : fixed
      let rest = Daemon.waitingText(waiting)
      Log.write(LogEvent(.reloaded, "reloaded: \(limits.summary)\(rest)"))
      return .limits(limits, waiting: waiting)
    }
  }
}
