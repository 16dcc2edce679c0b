import CWarmstartFloor
import Foundation
import WarmstartTestSupport

/// A daemon to run operations on, and the floors beside them.
///
/// The working directory is one of its own, with TensorFlow's checkpoints in `Golden`: paths are
/// sent and counted, so they must not depend on where the repository is.
final class Bench {
  /// Where the daemon listens.
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

  /// Takes a daemon whose directory is the working directory.
  init(besideDaemon: Void) {
    daemon = nil
  }

  /// Makes a daemon's directory what operations expect.
  static func prepare(_ daemon: RunningDaemon) throws {
    try FileManager.default.createSymbolicLink(
      at: daemon.directory.appending(path: "Golden"), withDestinationURL: Golden.folder)
  }

  deinit {
    for floor in floors { floor_stop(floor) }
    _ = daemon?.stop()
  }

  /// Starts a C server that answers so many bytes with so many, and returns where it listens: its name.
  func startFloor(_ name: String, _ request: Int, _ answer: Int, file: Int32 = -1) -> String {
    let process = floor_serve(name, request, answer, file)
    precondition(process > 0)
    floors.append(process)
    return name
  }
}

/// How many nanoseconds the body takes.
func timed(_ body: () throws -> Void) rethrows -> Int64 {
  let start = floor_now()
  try body()
  return floor_now() - start
}
