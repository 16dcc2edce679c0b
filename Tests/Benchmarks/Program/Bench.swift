import CFloor
import Foundation
import TestSupport

/// A daemon to run operations on, and the floors beside them.
final class Bench {
  /// Where the daemon listens.
  let socketPath: String
  /// A directory for the operations' files.
  let directory: URL
  private let daemon: RunningDaemon?
  private var floors: [Int32] = []

  /// Starts a daemon.
  init() throws {
    let daemon = try RunningDaemon()
    self.daemon = daemon
    socketPath = daemon.socketPath
    directory = daemon.directory
  }

  deinit {
    for floor in floors { floor_stop(floor) }
    _ = daemon?.stop()
  }

  /// The path of a file in the directory.
  func path(_ name: String) -> String {
    directory.appending(path: name).path(percentEncoded: false)
  }

  /// Starts a C server that answers so many bytes with so many, and returns where it listens.
  func startFloor(_ name: String, _ request: Int, _ answer: Int, file: Int32 = -1) -> String {
    let path = path(name)
    let process = floor_serve(path, request, answer, file)
    precondition(process > 0)
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
