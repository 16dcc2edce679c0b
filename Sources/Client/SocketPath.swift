import SystemPackage
import WarmstartKernel

/// Where the daemon listens.
enum SocketPath {
  /// Where the system's unit listens.
  private static let system = "/run/warmstart/warmstart.sock"
  /// Where the system's unit listens for administrators.
  static let systemAdministration = "/run/warmstart/admin.sock"

  /// The group that may connect to a socket of the system's units; nil for any other path.
  static func group(of path: String) -> String? {
    switch path {
    case system: "warmstart-clients"
    case systemAdministration: "warmstart-admin"
    default: nil
    }
  }

  /// The system's unit that listens at a path; nil for any other path.
  static func unit(of path: String) -> String? {
    switch path {
    case system: "warmstartd.socket"
    case systemAdministration: "warmstart-admin.socket"
    default: nil
    }
  }

  /// `$WARMSTART_SOCKET`, else the socket of the system's daemon if this user may connect, else
  /// that of the user's own daemon if it exists, else the system's.
  static var standard: String {
    if let path = Process.environment("WARMSTART_SOCKET"), !path.isEmpty { return path }
    return usable(system, else: "warmstart.sock")
  }

  /// The administrators' socket of the system's daemon if this user may connect, else that of the
  /// user's own daemon if it exists, else the system's.
  static var administration: String { usable(systemAdministration, else: "admin.sock") }

  /// The socket that shows most: the administrators' if this user may connect, and no other is set.
  static var forStatus: String {
    if let path = Process.environment("WARMSTART_SOCKET"), !path.isEmpty { return path }
    return File.mayWrite(FilePath(systemAdministration)) ? systemAdministration : standard
  }

  private static func usable(_ path: String, else name: String) -> String {
    if !File.mayWrite(FilePath(path)), let directory = Process.environment("XDG_RUNTIME_DIR") {
      let own = "\(directory)/warmstart/\(name)"
      if File.exists(FilePath(own)) { return own }
    }
    return path
  }
}
