import CWarmstartFloor
import Foundation
import WarmstartTestSupport

/// A daemon that operations call, and the C servers that they are compared with.
///
/// It has a working directory of its own, in which `Golden` has TensorFlow's checkpoints. Clients
/// send paths, whose bytes are counted, so they must not depend on the repository's place.
final class Bench {
  /// The path of the daemon's socket.
  let socketPath = "s"
  private let daemon: RunningDaemon?
  private var floors: [Int32] = []

  /// Starts a daemon.
  init() throws {
    let daemon = try RunningDaemon()
    self.daemon = daemon
    try Bench.prepare(daemon)
    precondition(FileManager.default.changeCurrentDirectoryPath(daemon.directory.path))
  }

  /// Uses a daemon whose directory is the working directory.
  init(besideDaemon: Void) {
    daemon = nil
  }

  /// Puts the files that operations expect into a daemon's directory.
  static func prepare(_ daemon: RunningDaemon) throws {
    try FileManager.default.createSymbolicLink(
      at: daemon.directory.appending(path: "Golden"), withDestinationURL: Golden.folder)
  }

  deinit {
    for floor in floors { floor_stop(floor) }
    _ = daemon?.stop()
  }

  /// Starts a C server that answers requests of one length; returns its socket's path.
  ///
  /// Two operations may have the same floor: each gets a server of its own.
  func startFloor(_ name: String, _ request: Int, _ answer: Int, file: Int32 = -1) -> String {
    let path = "\(name)-\(floors.count)"
    let process = floor_serve(path, request, answer, file)
    precondition(process > 0, "the floor \(path) cannot be started")
    floors.append(process)
    return path
  }
}

/// How many nanoseconds the body takes.
func timed(_ body: () throws -> Void) rethrows -> Int64 {
  let start = floor_now()
  try body()
  return floor_now() - start
}
