import CWarmstartFloor
import Foundation
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

extension Study {
  static var arenas: Study { Study(name: "arenas") { try ArenaStudy().run() } }
}

/// Fills arenas of a large checkpoint that the page cache has, beside a C program that does the
/// same in one pass.
///
/// `WARMSTART_OLD_DAEMON` names another build of the daemon, which fills the same arenas in turn.
private final class ArenaStudy {
  private static let tensorCount = 64
  private static let side = 2048
  private static let byteCount = tensorCount * side * side * 4
  private static let rounds = 7

  private enum Kind: CaseIterable {
    /// Whole tensors.
    case whole
    /// The left half of each tensor, whose rows have 4 KiB.
    case innerAxis

    var name: String { self == .whole ? "fill-arena" : "fill-inner-axis" }
    var byteCount: Int { self == .whole ? ArenaStudy.byteCount : ArenaStudy.byteCount / 2 }
  }

  /// The best times of one build, in nanoseconds.
  private struct Times {
    var fill = Int64.max
    var touch = Int64.max
  }

  private let bundle: BundleWriter.Bundle
  private var daemons: [(name: String, daemon: RunningDaemon)]

  init() throws {
    daemons = [("this build", try RunningDaemon(["--linger", "0"]))]
    if let path = ProcessInfo.processInfo.environment["WARMSTART_OLD_DAEMON"] {
      daemons.append(
        ("old build", try RunningDaemon(["--linger", "0"], program: URL(filePath: path))))
    }
    var random = SeededRandom(seed: 14)
    let bytes = (0..<ArenaStudy.side * ArenaStudy.side * 4).map { _ in
      UInt8(truncatingIfNeeded: random.next())
    }
    var writer = BundleWriter()
    for number in 0..<ArenaStudy.tensorCount {
      writer.add(
        .init("layer_\(number)/kernel"), dtype: 1, [ArenaStudy.side, ArenaStudy.side], bytes)
    }
    bundle = try writer.write(to: daemons[0].daemon.directory.path(percentEncoded: false))
  }

  func run() throws {
    for kind in Kind.allCases {
      var best = daemons.map { _ in Times() }
      var floor = Times()
      var copy = Int64.max
      for _ in 0..<ArenaStudy.rounds {
        for (index, (_, daemon)) in daemons.enumerated() {
          let times = try fill(kind, daemon)
          best[index].fill = min(best[index].fill, times.fill)
          best[index].touch = min(best[index].touch, times.touch)
        }
        try warm()
        var touch: Int64 = 0
        floor.fill = min(floor.fill, checked(floor_fill(bundle.shards[0], &touch)))
        floor.touch = min(floor.touch, touch)
        copy = min(copy, checked(floor_copy_shared(kind.byteCount)))
      }
      for (index, (name, _)) in daemons.enumerated() {
        print(
          kind.name.padding(toLength: 16, withPad: " ", startingAt: 0),
          name.padding(toLength: 10, withPad: " ", startingAt: 0),
          rate(kind.byteCount, best[index].fill),
          kind == .whole
            ? "| of C in one pass \(ratio(floor.fill, best[index].fill))"
            : "| of memcpy into fresh shared memory \(ratio(copy, best[index].fill))",
          "| of this build \(ratio(best[0].fill, best[index].fill))",
          "| first-touch \(milliseconds(best[index].touch))",
          "| of this build \(ratio(best[0].touch, best[index].touch))")
      }
      print(
        kind == .whole ? "  C in one pass" : "  memcpy",
        kind == .whole
          ? "\(rate(kind.byteCount, floor.fill)) | first touch \(milliseconds(floor.touch))"
          : rate(kind.byteCount, copy))
    }
  }

  /// Has a daemon fill an arena for a client, which then touches each page.
  private func fill(_ kind: Kind, _ daemon: RunningDaemon) throws -> Times {
    // For the daemon, a changed time makes another generation, of which it has nothing.
    guard utimes(bundle.index, nil) == 0 else { throw POSIXError(.EIO) }
    try warm()
    let side = ArenaStudy.side
    let variables = (0..<ArenaStudy.tensorCount).map { number in
      let name = Name("layer_\(number)/kernel")
      guard kind == .innerAxis else {
        return Variable(name, dtype: .float32, shape: [side, side])
      }
      return Variable(
        Name("\(name)/part_0"), dtype: .float32, shape: [side, side / 2],
        partition: Partition(of: name, fullShape: [side, side], offset: [0, 0]))
    }
    var options = Resolved.Options()
    options.sealed = true
    let checkpoint = try Client(socket: daemon.socketPath).open(bundle.prefix)
    var resolved: Resolved?
    var times = Times()
    times.fill = try timed {
      resolved = try checkpoint.resolve(
        assigning: ["/": "/"], to: variables, options: options)
    }
    times.touch = timed {
      guard let resolved else { return }
      for tensor in resolved.tensors {
        tensor.bytes.withUnsafeBytes { floor_touch($0.baseAddress, $0.count) }
      }
    }
    return times
  }

  /// Reads the data file into the page cache.
  private func warm() throws {
    guard floor_read(bundle.shards[0]) >= 0 else { throw POSIXError(.EIO) }
  }

  private func checked(_ time: Int64) -> Int64 {
    precondition(time > 0, "error \(time)")
    return time
  }

  private func rate(_ byteCount: Int, _ time: Int64) -> String {
    String(format: "%5.2f GiB/s", Double(byteCount) / Double(1 << 30) / (Double(time) / 1e9))
  }

  private func ratio(_ left: Int64, _ right: Int64) -> String {
    String(format: "%.2f", Double(left) / Double(right))
  }

  private func milliseconds(_ time: Int64) -> String {
    String(format: "%.1f ms", Double(time) / 1e6)
  }
}
