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
    let (old, new) = (configuration, Result { () throws(ConfigurationError) in try read() })
    switch new {
    case .failure(let error):
      for problem in error.problems {
        Log.write(LogEvent(.reloadRefused, "reload refused: \(problem)"))
      }
      return .refused(error.problems[0])
    case .success(let configuration):
      for setting in configuration.differences(from: old) where setting.isFixed {
        let text =
          "\(setting.rawValue) was changed, but it is used only when the daemon starts: restart it"
        Log.write(LogEvent(.doubtfulSetting, text))
      }
      current.withLock { $0 = configuration }
      let limits = machine.limits(configuration)
      Log.write(LogEvent(.reloaded, "reloaded: \(limits.summary)"))
      return .limits(limits)
    }
  }
}
