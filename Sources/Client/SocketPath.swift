import SystemPackage
import WarmstartKernel

/// Where the daemon listens.
enum SocketPath {
  /// Where the system's unit listens.
  private static let system = "/run/warmstart/warmstart.sock"
  /// Where the system's unit listens for administrators.
  private static let administration = "/run/warmstart/admin.sock"

  /// Whom the system's units let connect; nil for a path that is not theirs.
  static func group(of path: String) -> String? {
    switch path {
    case system: "warmstart-clients"
    case administration: "warmstart-admin"
    default: nil
    }
  }

  /// `$WARMSTART_SOCKET`, else the system's socket if it is there, else the user's runtime directory's.
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
