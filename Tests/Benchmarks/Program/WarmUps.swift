import CWarmstartFloor
import Foundation
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

extension Study {
  static var warmUps: [Study] {
    [
      Study(name: "verify-warm") { try WarmUpStudy().verifyWarm() },
      Study(name: "preload-cold") { try WarmUpStudy().preloadCold() },
    ]
  }
}

/// Preloads a large checkpoint from the page cache, and from the disk beside `dd`.
///
/// `WARMSTART_OLD_DAEMON` names another build of the daemon, which does the same in turn, and
/// `WARMSTART_GIB` the size of the checkpoint, by default 1.
private final class WarmUpStudy {
  private static let tensorByteCount = 4 << 20
  private static let rounds = 5

  private let bundle: BundleWriter.Bundle
  private let byteCount: Int
  private let daemons: [(name: String, daemon: RunningDaemon)]

  init() throws {
    let environment = ProcessInfo.processInfo.environment
    let count = (environment["WARMSTART_GIB"].flatMap { Int($0) } ?? 1) << 8
    byteCount = count * Self.tensorByteCount
    var daemons = [("this build", try RunningDaemon(["--linger", "0"]))]
    if let path = environment["WARMSTART_OLD_DAEMON"] {
      daemons.append(
        ("old build", try RunningDaemon(["--linger", "0"], program: URL(filePath: path))))
    }
    self.daemons = daemons
    var random = SeededRandom(seed: 14)
    let bytes = (0..<Self.tensorByteCount).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    var writer = BundleWriter()
    for number in 0..<count {
      writer.add(.init("layer_\(number)"), dtype: 4, [Self.tensorByteCount], bytes)
    }
    bundle = try writer.write(to: daemons[0].1.directory.path(percentEncoded: false))
  }

  /// Verifies what the page cache has.
  func verifyWarm() throws {
    var best = daemons.map { _ in Int64.max }
    for _ in 0..<Self.rounds {
      for (index, (_, daemon)) in daemons.enumerated() {
        guard floor_read(bundle.shards[0]) >= 0 else { throw POSIXError(.EIO) }
        let checkpoint = try open(daemon)
        best[index] = min(best[index], try timed { try checkpoint.preload() })
      }
    }
    for (index, (name, _)) in daemons.enumerated() {
      print(
        "verify-warm     ", padded(name), rate(best[index]), "| of this build",
        ratio(best[0], best[index]))
    }
  }

  /// Preloads what only the disk has; then a client maps it and touches each page.
  func preloadCold() throws {
    for round in 1...Self.rounds {
      try PageCache.drop(bundle.shards[0])
      let floor = try timed {
        guard floor_read(bundle.shards[0]) >= 0 else { throw POSIXError(.EIO) }
      }
      print("preload-cold     read(2)   ", rate(floor), "| round \(round)")
      for (name, daemon) in daemons {
        let checkpoint = try open(daemon)
        try PageCache.drop(bundle.shards[0])
        let before = try readByteCount(daemon)
        let time = try timed { try checkpoint.preload() }
        let read = try readByteCount(daemon) - before
        let (touch, huge) = try touch(checkpoint)
        print(
          "preload-cold    ", padded(name), rate(time), "| of read(2)", ratio(floor, time),
          String(format: "| read from disk %.3f", Double(read) / Double(byteCount)),
          String(format: "| first touch %.1f ms", Double(touch) / 1e6),
          String(format: "| huge %.2f", Double(huge) / Double(byteCount)))
      }
    }
  }

  /// Opens the checkpoint, with a changed time: for a daemon it is another generation, of which it
  /// has nothing.
  private func open(_ daemon: RunningDaemon) throws -> Checkpoint {
    guard utimes(bundle.index, nil) == 0 else { throw POSIXError(.EIO) }
    return try Client(socket: daemon.socketPath).open(bundle.prefix)
  }

  /// The bytes that a daemon has had read from disks.
  private func readByteCount(_ daemon: RunningDaemon) throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(daemon.processID)/io", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix("read_bytes: ") }
    return line.flatMap { Int($0.dropFirst(12)) } ?? 0
  }

  /// Maps all tensors and touches each page; returns the time, and the bytes mapped in huge pages.
  private func touch(_ checkpoint: Checkpoint) throws -> (time: Int64, hugeByteCount: Int) {
    let variables = (0..<byteCount / Self.tensorByteCount).map {
      Variable(Name("layer_\($0)"), dtype: .uint8, shape: [Self.tensorByteCount])
    }
    let resolved = try checkpoint.resolve(assigning: ["/": "/"], to: variables)
    let time = timed {
      for tensor in resolved.tensors {
        tensor.bytes.withUnsafeBytes { floor_touch($0.baseAddress, $0.count) }
      }
    }
    let text = try String(contentsOfFile: "/proc/self/smaps_rollup", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix("FilePmdMapped:") }
    let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return withExtendedLifetime(resolved) { (time, kibibytes << 10) }
  }

  private func padded(_ name: String) -> String {
    name.padding(toLength: 10, withPad: " ", startingAt: 0)
  }

  private func rate(_ time: Int64) -> String {
    String(format: "%5.2f GiB/s", Double(byteCount) / Double(1 << 30) / (Double(time) / 1e9))
  }

  private func ratio(_ left: Int64, _ right: Int64) -> String {
    String(format: "%.2f", Double(left) / Double(right))
  }
}
