/// What the administrator chose: the value of each setting.
///
/// Command line and files fill it through `set`. It knows nothing of the machine: the limits that
/// follow from it are `Limits` in the store.
package struct Configuration: Sendable, Hashable {
  /// Where clients connect, if the service manager passed no socket.
  package private(set) var socket: String?
  /// Where administrators connect, if the service manager passed no socket.
  package private(set) var adminSocket: String?
  /// Where monitoring systems ask for metrics, if the service manager passed no socket.
  package private(set) var metricsSocket: String?
  /// The memory for arenas and indexes; nil for half of what the daemon may use.
  package private(set) var budget: Size?
  /// How long a checkpoint stays warm after its last lease.
  package private(set) var lingerSeconds = 300
  /// The connections of all users together, each of which has a thread while it lasts.
  package private(set) var maxConnections = 2048
  /// The connections of one user, where three quarters of what other users leave would be more.
  package private(set) var maxConnectionsPerUser = 1024

  /// Makes a configuration in which every setting has its default.
  package init() {}

  /// Sets a value from its text; an empty text sets the default.
  ///
  /// - Throws: What was expected, if the text is no value of the setting.
  package mutating func set(_ setting: Setting, to text: String) throws(UnexpectedValue) {
    let defaults = Configuration()
    switch setting {
    case .socket: socket = text.isEmpty ? nil : text
    case .adminSocket: adminSocket = text.isEmpty ? nil : text
    case .metricsSocket: metricsSocket = text.isEmpty ? nil : text
    case .budget: budget = text.isEmpty ? nil : try Size(text)
    case .linger: lingerSeconds = text.isEmpty ? defaults.lingerSeconds : try seconds(text)
    case .maxConnections:
      maxConnections = text.isEmpty ? defaults.maxConnections : try count(text)
    case .maxConnectionsPerUser:
      maxConnectionsPerUser = text.isEmpty ? defaults.maxConnectionsPerUser : try count(text)
    }
  }

  /// The settings that have another value than in another configuration.
  package func differences(from other: Configuration) -> [Setting] {
    Setting.allCases.filter { setting in
      switch setting {
      case .socket: socket != other.socket
      case .adminSocket: adminSocket != other.adminSocket
      case .metricsSocket: metricsSocket != other.metricsSocket
      case .budget: budget != other.budget
      case .linger: lingerSeconds != other.lingerSeconds
      case .maxConnections: maxConnections != other.maxConnections
      case .maxConnectionsPerUser: maxConnectionsPerUser != other.maxConnectionsPerUser
      }
    }
  }
}
