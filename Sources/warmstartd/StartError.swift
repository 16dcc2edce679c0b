/// The reason for which the daemon cannot start, for people.
struct StartError: Error {
  /// The exit status, from which the units see whether to try again.
  ///
  /// See `sysexits.h(3head)`.
  enum Status: CInt {
    /// Another try may succeed.
    case failure = 1
    /// The command line is wrong: EX_USAGE.
    case usage = 64
    /// A configuration file is wrong, or a unit: EX_CONFIG.
    case configuration = 78
  }

  /// What is wrong: a sentence for each problem.
  let messages: [String]
  let status: Status

  init(_ messages: String..., status: Status = .failure) {
    self.init(messages, status: status)
  }

  init(_ messages: [String], status: Status) {
    self.messages = messages
    self.status = status
  }
}
