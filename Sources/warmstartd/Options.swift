import WarmstartConfiguration

/// The command line of the daemon.
struct Options {
  /// An error in the command line, for people.
  struct UsageError: Error {
    let message: String
  }

  /// The settings that options give, in their order.
  private(set) var assignments: [Assignment] = []
  /// The main configuration file; nil for those of the unit.
  private(set) var file: String?
  /// Whether to check the configuration and not to start.
  private(set) var checks = false
  private(set) var showsHelp = false
  private(set) var showsVersion = false

  init(_ arguments: some Sequence<String>) throws(UsageError) {
    var rest = Array(arguments)[...]
    while let argument = rest.popFirst() {
      let (name, attached) = Options.split(argument)
      switch name {
      case "--help", "-h": showsHelp = true
      case "--version": showsVersion = true
      case "--check": checks = true
      case "--config": file = try Options.value(of: name, attached, &rest)
      default:
        guard let setting = Setting(option: name) else {
          guard !name.isEmpty else { throw UsageError(message: "unexpected empty argument") }
          let kind = name.hasPrefix("-") ? "unknown option" : "unexpected argument"
          throw UsageError(message: "\(kind) \(name)\(Setting.suggestion(forOption: name))")
        }
        let value = try Options.value(of: name, attached, &rest)
        assignments.append(Assignment(setting, value, at: name))
      }
    }
  }

  private static func value(
    of name: String, _ attached: String?, _ rest: inout ArraySlice<String>
  ) throws(UsageError) -> String {
    guard let value = attached ?? rest.popFirst(), !value.isEmpty else {
      throw UsageError(message: "\(name) needs a value")
    }
    return value
  }

  private static func split(_ argument: String) -> (name: String, value: String?) {
    guard argument.hasPrefix("--"), let equals = argument.firstIndex(of: "=") else {
      return (argument, nil)
    }
    return (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
  }
}

// MARK: Help

extension Options {
  /// The text of `--help`, with a line or two for each setting.
  static var help: String {
    var text = """
      usage: warmstartd [OPTION ...]

      Keeps checkpoints warm for the training jobs of this machine. When its socket unit starts it,
      it takes its sockets from the service manager; started by hand, it listens at --socket.


      """
    for setting in Setting.allCases {
      text += entry("\(setting.option) \(setting.placeholder)", setting.summary)
    }
    text += entry(
      "--config FILE",
      "read settings from FILE, and then from FILE.d/*.conf; options win (default: the files of "
        + "warmstartd.conf(5), if a unit starts the daemon)")
    text += entry(
      "--check",
      "read the settings, those of the system's daemon without --config, say which files were read "
        + "and what is wrong with them, and exit")
    text += entry("--version", "print the version and exit")
    return text
  }

  /// The columns before the explanations, and those of a line.
  private static let (indent, width) = (33, 100)

  private static func entry(_ option: String, _ explanation: String) -> String {
    var line = "  " + option
    line += String(repeating: " ", count: max(1, indent - line.count))
    var text = ""
    for word in explanation.split(separator: " ") {
      if line.count + word.count > width {
        text += line.trimmingSpaces + "\n"
        line = String(repeating: " ", count: indent)
      }
      line += word + " "
    }
    return text + line.trimmingSpaces + "\n"
  }
}

extension String {
  /// The text without the spaces at its end.
  fileprivate var trimmingSpaces: Substring {
    self[..<(lastIndex { $0 != " " }.map { index(after: $0) } ?? startIndex)]
  }
}
