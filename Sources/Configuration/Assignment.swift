import WarmstartTensorModel

/// A value that the command line or a file gives to a setting.
package struct Assignment: Sendable, Hashable {
  /// The setting.
  package let setting: Setting
  /// The value as it was written.
  package let text: String
  /// Where it was written, for messages: an option, or a file's line and key.
  package let place: String

  /// Makes an assignment.
  package init(_ setting: Setting, _ text: String, at place: String) {
    self.setting = setting
    self.text = text
    self.place = place
  }
}

/// What is wrong with a command line or with files: a sentence for each problem.
package struct ConfigurationError: Error, Hashable {
  /// The most problems that are kept: each goes into the log; chosen, not tuned.
  private static let maximumCount = 20

  /// The problems, in the order of the text; of very many, how many more there are.
  package let problems: [String]

  init(_ problems: [String]) {
    let count = problems.count - Self.maximumCount
    self.problems =
      count > 0 ? problems.prefix(Self.maximumCount) + ["and \(count) more problems"] : problems
  }
}

extension Configuration {
  /// Makes a configuration from assignments, of which later ones win.
  ///
  /// - Throws: The problems of all values that are wrong.
  package init(_ assignments: some Sequence<Assignment>) throws(ConfigurationError) {
    self.init()
    var problems: [String] = []
    for assignment in assignments {
      do throws(UnexpectedValue) { try set(assignment.setting, to: assignment.text) } catch {
        problems.append("\(assignment.place): \(error)")
      }
    }
    if !problems.isEmpty { throw ConfigurationError(problems) }
  }
}

extension Setting {
  /// The keys nearest to one that no setting has, worded to end a message, or nothing.
  static func suggestion(forKey key: String) -> String {
    NearestNames.suggestion(for: Name(key)) { nearest in
      for setting in allCases { nearest.offer(Name(setting.rawValue)) }
    }
  }

  /// The options nearest to one that does not exist, worded to end a message, or nothing.
  package static func suggestion(forOption option: String) -> String {
    NearestNames.suggestion(for: Name(option)) { nearest in
      for setting in allCases { nearest.offer(Name(setting.option)) }
    }
  }
}
