import Foundation
import Testing
import WarmstartClient
import WarmstartMessages
import WarmstartTensorModel
import WarmstartTestSupport

/// A daemon that can be stopped, killed and started again at the same socket.
///
/// Foundation's Process is not Sendable, but is only started and ended here, by one thread.
final class RestartableDaemon: @unchecked Sendable {
  let directory: TemporaryDirectory
  let socketPath: String
  private var process = Process()

  init() throws {
    directory = try TemporaryDirectory()
    socketPath = directory.path + "/s"
    try start()
  }

  /// Starts the daemon and waits until it answers.
  func start() throws {
    process = Process()
    process.executableURL = RunningDaemon.products.appending(path: "warmstartd")
    process.arguments = ["--socket", socketPath]
    try process.run()
    for _ in 0..<1000 {
      if (try? Client(socket: socketPath).status()) != nil { return }
      Foundation.Thread.sleep(forTimeInterval: 0.01)
    }
    Issue.record("the daemon does not answer")
  }

  /// Stops or kills the daemon.
  func stop(killing: Bool) {
    if killing { kill(process.processIdentifier, SIGKILL) } else { process.terminate() }
    process.waitUntilExit()
  }

  deinit {
    if process.isRunning { stop(killing: true) }
  }
}

/// The checkpoint that these tests use.
struct Fixture {
  /// `a` [64, 32] float32 lies aligned in its file, `odd` does not, `cut` is in 2 by 2 slices.
  static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [64, 32], floats(2048))
    writer.add(
      "cut", dtype: 1, [64, 32], floats(2048),
      slices: [
        [.init(0, 32), .init(0, 16)], [.init(0, 32), .init(16, 16)], [.init(32, 32), .init(0, 16)],
        [.init(32, 32), .init(16, 16)],
      ])
    writer.add("scope/x", dtype: 3, [3], floats(3))
    writer.skip(1)
    writer.add("odd", dtype: 1, [4], floats(4))
    writer.add("s", strings: [Array("hello".utf8), [], Array("you".utf8)], [3])
    return writer
  }

  /// Takes a second or more to read and checksum, but no disk space.
  static let slowByteCount = 16 << 30

  /// The same with a tensor `slow` of so many bytes in a second shard.
  static var slow: BundleWriter {
    var writer = writer
    writer.add("slow", dtype: 4, [0], [], in: 1)
    writer.change("slow") { ($0.shape, $0.byteCount) = ([slowByteCount], slowByteCount) }
    writer.skip(slowByteCount, in: 1)
    return writer
  }

  static func floats(_ count: Int) -> [UInt8] {
    (0..<count).flatMap { index in
      let bits = Float(index).bitPattern
      return (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
    }
  }

  /// The columns of a [64, 32] array of floats.
  static func columns(_ range: Range<Int>) -> [UInt8] {
    let all = floats(2048)
    var bytes: [UInt8] = []
    for row in 0..<64 {
      let start = row * 128
      bytes += all[start + range.lowerBound * 4..<start + range.upperBound * 4]
    }
    return bytes
  }

  /// A variable object for a tensor of the fixture, and a map that assigns it.
  static func whole(_ tensor: Name, _ shape: Shape, _ dtype: DataType = .float32)
    -> (map: AssignmentMap, variables: [Variable])
  {
    (
      AssignmentMap([.init(tensor, .variable("v"))]),
      [Variable("v", dtype: dtype, shape: shape, isInStore: false)]
    )
  }
}

extension Tensor {
  /// A copy of the bytes.
  var array: [UInt8] {
    let span = Span<UInt8>(_bytes: bytes)
    return span.indices.map { span[$0] }
  }
}

/// What threads share; only touched while the lock is held.
private final class Results<Outcome: Sendable>: @unchecked Sendable {
  let lock = NSCondition()
  var ready = 0
  var outcomes: [Int: Result<Outcome, any Error>] = [:]
}

/// Runs the body on threads that begin together, and returns their results.
func together<Outcome: Sendable>(
  _ count: Int, _ body: @escaping @Sendable (Int) throws -> Outcome
) throws -> [Outcome] {
  let results = Results<Outcome>()
  for number in 0..<count {
    Foundation.Thread.detachNewThread {
      results.lock.withLock {
        results.ready += 1
        results.lock.broadcast()
        while results.ready < count { results.lock.wait() }
      }
      let outcome = Result { try body(number) }
      results.lock.withLock {
        results.outcomes[number] = outcome
        results.lock.broadcast()
      }
    }
  }
  let limit = Date(timeIntervalSinceNow: 60)
  let outcomes = results.lock.withLock { () -> [Int: Result<Outcome, any Error>] in
    while results.outcomes.count < count, results.lock.wait(until: limit) {}
    return results.outcomes
  }
  try #require(outcomes.count == count, "a thread hangs")
  return try outcomes.sorted { $0.key < $1.key }.map { try $0.value.get() }
}

/// The value of a counter of the daemon.
func counter(_ name: String, _ client: Client) throws -> Int {
  try #require(try client.status().counters.first { $0.name == name }).value
}
