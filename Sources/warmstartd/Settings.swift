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

  /// Reads the files that the options name, or those of the unit; a check without a unit reads those
  /// of the system's daemon.
  ///
  /// - Parameter note: Called with the path of each file that is read.
  /// - Throws: All that is wrong with them, or with the options.
  init(_ options: Options, noting note: (String) -> Void = { _ in }) throws(StartError) {
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
  func reload(_ machine: Machine) -> Daemon.ReloadOutcome {
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
      let waiting = configuration.differences(from: first).filter(\.isFixed).map(\.rawValue)
      for setting in waiting {
        let text =
          "\(setting) was changed, but it is used only when the daemon starts: restart it"
        Log.write(LogEvent(.doubtfulSetting, text))
      }
      let rest = Daemon.waitingText(waiting)
      Log.write(LogEvent(.reloaded, "reloaded: \(limits.summary)\(rest)"))
      return .limits(limits, waiting: waiting)
    }
  }
}
