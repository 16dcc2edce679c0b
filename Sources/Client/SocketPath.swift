import SystemPackage
import WarmstartKernel

/// Where the daemon listens.
enum SocketPath {
  /// Where the system's unit listens.
  private static let system = "/run/warmstart/warmstart.sock"
  /// Where the system's unit listens for administrators.
  static let administration = "/run/warmstart/admin.sock"

  /// The group that may connect to a socket of the system's units; nil for any other path.
  static func group(of path: String) -> String? {
    switch path {
    case system: "warmstart-clients"
    case administration: "warmstart-admin"
    default: nil
    }
  }

  /// `$WARMSTART_SOCKET`, else the system's socket if it exists, else the one in
  /// `$XDG_RUNTIME_DIR`.
  static var standard: String {
    if let path = Process.environment("WARMSTART_SOCKET"), !path.isEmpty { return path }
    guard !File.exists(FilePath(system)), let directory = Process.environment("XDG_RUNTIME_DIR")
    else {
      return system
    }
    let own = "\(directory)/warmstart/warmstart.sock"
    return File.exists(FilePath(own)) ? own : system
  }
}
