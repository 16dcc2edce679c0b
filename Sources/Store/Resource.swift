import WarmstartConfiguration
import WarmstartTensorModel

/// The things that users take from the daemon, each with a limit of its own.
package enum Resource: Int, Sendable, CaseIterable {
  /// Bytes that the store holds, or needs to make what it holds: arenas, parsed indexes, remembered
  /// answers.
  case memory
  /// Bytes for connections, and for messages that are being received, answered and sent.
  case messages
  /// Files that are kept open: those that clients passed, those that residents hold, and arenas.
  case descriptors
  /// Files on frames that are being received and answered.
  case filesInFlight
  case connections
}

extension Resource: CustomStringConvertible {
  package var description: String {
    switch self {
    case .memory: "memory"
    case .messages: "room"
    case .descriptors: "room"
    case .filesInFlight: "room"
    case .connections: "room"
    }
  }

  /// An amount with its unit, for people.
  package func text(_ count: Int) -> String {
    switch self {
    case .memory: Resource.text(bytes: count)
    case .messages: "\(Resource.text(bytes: count)) of messages"
    case .descriptors: Resource.text(count, "open file")
    case .filesInFlight: Resource.text(count, "file") + " in flight"
    case .connections: Resource.text(count, "connection")
    }
  }

  private static func text(_ count: Int, _ noun: String) -> String {
    "\(count) \(noun)\(count == 1 ? "" : "s")"
  }

  private static func text(bytes count: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var (unit, whole, rest) = (0, count, 0)
    while whole >= 1024, unit + 1 < units.count {
      (whole, rest) = whole.quotientAndRemainder(dividingBy: 1024)
      unit += 1
    }
    return unit == 0 ? "\(count) B" : "\(whole).\(rest * 10 / 1024) \(units[unit])"
  }

  /// The key of the configuration that limits one user's connections.
  package static let ownConnectionsSetting =
    "\(Setting.maxConnectionsPerUser.rawValue) in warmstartd.conf(5)"

  /// The key of the configuration, or the unit's setting, that changes the limit.
  package var setting: String {
    switch self {
    case .memory: "\(Setting.budget.rawValue) in warmstartd.conf(5)"
    case .messages: "warmstartd's MemoryMax="
    case .descriptors, .filesInFlight: "warmstartd's LimitNOFILE="
    case .connections: "\(Setting.maxConnections.rawValue) in warmstartd.conf(5)"
    }
  }

  /// The reason of a refusal: BUDGET for memory, QUOTA for everything else.
  var reason: Reason { self == .memory ? .budget : .quota }
}
