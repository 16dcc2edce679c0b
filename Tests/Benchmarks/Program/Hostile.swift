import CWarmstartFloor
import Foundation
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

extension Study {
  static var hostile: Study { Study(name: "hostile", run: measureHostile) }

  /// Compares one client's calls with and without another client that abuses the daemon.
  ///
  /// The abuser also takes processor time, so a ping-pong in C, which does not use the daemon, is
  /// measured beside the calls.
  private static func measureHostile() throws {
    let daemon = try RunningDaemon(isHeard: false)
    let floorPath = daemon.directory.appending(path: "floor").path(percentEncoded: false)
    let floor = floor_serve(floorPath, 64, 64, -1)
    let connection = floor_connect(floorPath)
    defer {
      floor_close(connection)
      floor_stop(floor)
    }
    let checkpoint = try Client(socket: daemon.socketPath)
      .open(Golden.path("v2_plain_resource/model.ckpt-1000"))
    let variables = [Variable("w", dtype: .float32, shape: [16, 8])]
    /// Medians of calls and of ping-pongs, over a longer time than a frame may take.
    func medians() throws -> (resolve: Int64, pingPong: Int64) {
      var pingPongs = Samples()
      var resolves = Samples()
      for _ in 0..<6000 {
        usleep(1000)
        try pingPongs.take(1) { floor_ask(connection, 64, 64) }
        try resolves.take(1) {
          try timed {
            _ = try checkpoint.resolve(assigning: ["bert/embeddings/kernel": "w"], to: variables)
          }
        }
      }
      return (resolves.median, pingPongs.median)
    }
    for abuse in Abuse.allCases {
      let quiet = try medians()
      let abuser = Abuser(abuse, on: daemon.socketPath)
      let hostile = try medians()
      let rounds = try abuser.stop()
      print(
        abuse.rawValue.padding(toLength: 26, withPad: " ", startingAt: 0), "rounds", rounds,
        "| resolve", ratio(hostile.resolve, quiet.resolve), "| ping-pong",
        ratio(hostile.pingPong, quiet.pingPong))
    }
  }

  private static func ratio(_ hostile: Int64, _ quiet: Int64) -> String {
    String(
      format: "quiet %7.1f us, under abuse %7.1f us, ratio %.2f", Double(quiet) / 1000,
      Double(hostile) / 1000, Double(hostile) / Double(quiet))
  }
}

/// Commits an abuse again and again on a thread of its own.
///
/// Its state is used only while the lock is held.
private final class Abuser: @unchecked Sendable {
  private let lock = NSCondition()
  private var isStopping = false
  private var rounds = 0
  private var end: Result<Int, any Error>?

  init(_ abuse: Abuse, on path: String) {
    Thread.detachNewThread { [self] in
      let result = Result { () throws -> Int in
        while !lock.withLock({ isStopping }) {
          _ = try abuse.commit(on: path)
          lock.withLock { rounds += 1 }
        }
        return lock.withLock { rounds }
      }
      lock.withLock {
        end = result
        lock.broadcast()
      }
    }
  }

  /// Waits for the current round to end, and returns the number of rounds.
  func stop() throws -> Int {
    let result = lock.withLock {
      isStopping = true
      while end == nil { lock.wait() }
      return end
    }
    return try result?.get() ?? 0
  }
}
