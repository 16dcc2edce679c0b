/// A setting of the daemon: a key of its configuration files, and an option of its command line.
///
/// This is the one table of the settings. `--help` is made from it; the tests compare it with the
/// manuals and with the file that the packages install.
package enum Setting: String, Sendable, CaseIterable {
  /// The socket for clients of a daemon that is started by hand.
  case socket = "Socket"
  /// The socket for administrators of a daemon that is started by hand.
  case adminSocket = "AdminSocket"
  /// The socket for monitoring systems of a daemon that is started by hand.
  case metricsSocket = "MetricsSocket"
  /// The memory for arenas and indexes.
  case budget = "Budget"
  /// How long unused checkpoints stay warm.
  case linger = "Linger"
  /// The connections of all users together.
  case maxConnections = "MaxConnections"
  /// The connections of one user.
  case maxConnectionsPerUser = "MaxConnectionsPerUser"

  /// What a value of the setting may be.
  package enum Kind: Sendable, Hashable {
    /// The path of a socket.
    case path
    /// A number of bytes, or a share of the machine's memory.
    case size
    /// A number of seconds that is at least 0.
    case seconds
    /// A number that is at least 1.
    case count
  }

  /// What a value may be.
  package var kind: Kind {
    switch self {
    case .socket, .adminSocket, .metricsSocket: .path
    case .budget: .size
    case .linger: .seconds
    case .maxConnections, .maxConnectionsPerUser: .count
    }
  }

  /// The option that sets the value.
  package var option: String {
    switch self {
    case .socket: "--socket"
    case .adminSocket: "--admin-socket"
    case .metricsSocket: "--metrics-socket"
    case .budget: "--budget"
    case .linger: "--linger"
    case .maxConnections: "--max-connections"
    case .maxConnectionsPerUser: "--max-connections-per-user"
    }
  }

  /// The setting of an option; nil for an unknown option.
  package init?(option: some StringProtocol) {
    guard let setting = Setting.allCases.first(where: { $0.option == option }) else { return nil }
    self = setting
  }

  /// What stands for the value in help and messages.
  package var placeholder: String {
    switch kind {
    case .path: "PATH"
    case .size: "SIZE"
    case .seconds: "TIME"
    case .count: "N"
    }
  }

  /// Whether a reload cannot change the value, because the daemon uses it only when it starts.
  package var isFixed: Bool { kind == .path }

  /// What the setting is for, for `--help`.
  package var summary: String {
    switch self {
    case .socket: "where clients connect, if the service manager passed no socket"
    case .adminSocket: "where administrators connect, if it passed none"
    case .metricsSocket: "where monitoring systems ask for metrics over HTTP, if it passed none"
    case .budget:
      "memory for arenas and indexes, such as 8G or 50%; one user gets at most three quarters of "
        + "what the others leave (default: half of the memory that the daemon may use)"
    case .linger:
      "how long unused checkpoints stay warm, such as 90 or 15min "
        + "(default: \(Configuration().lingerSeconds) s)"
    case .maxConnections:
      "connections of all users (default: \(Configuration().maxConnections)); administrators have "
        + "some more"
    case .maxConnectionsPerUser:
      "connections of one user (default: \(Configuration().maxConnectionsPerUser))"
    }
  }
}
