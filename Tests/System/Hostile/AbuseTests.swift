import Testing
import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// Clients that misbehave cost the daemon nothing lasting, and other clients no answer.
///
/// The daemon is a separate process, whose descriptors, threads and memory are counted.
@Suite(.serialized) struct AbuseTests {
  /// The most freed memory that allocators keep.
  private static let keptByteCount = 48 << 20

  private let daemon: RunningDaemon
  private let client: Client
  private let checkpoint: Checkpoint

  init() throws {
    daemon = try RunningDaemon(isHeard: false)
    client = Client(socket: daemon.socketPath)
    checkpoint = try client.open(Golden.path("v2_tiles/t"))
  }

  private func expectAnswer() throws {
    let resolved = try checkpoint.resolve(
      assigning: ["x": "w"], to: [Variable("w", dtype: .float32, shape: [5, 4])])
    #expect(resolved.tensors.count == 1)
  }

  private func meetEverybody() throws {
    let others = (0..<10).map { _ in Client(socket: daemon.socketPath) }
    for other in others { _ = try other.status() }
    try expectAnswer()
  }

  /// The daemon's last words to clients that it drops; nil if they leave by themselves.
  private func reason(_ abuse: Abuse) -> String? {
    switch abuse {
    case .explodingFrames: "INVALID_REQUEST"
    case .announcedFrames, .byteASecond, .descriptorsWithoutFrame: "DEADLINE"
    case .closingAnywhere, .readingAndClosingAnywhere: nil
    }
  }

  @Test(arguments: Abuse.allCases)
  func `abuse is refused, leaks nothing and harms no other client`(_ abuse: Abuse) throws {
    // Threads that wait for the next connection stay, so the count is at its highest.
    try meetEverybody()
    // The listener, what the main loop waits for, and one client with its checkpoint.
    let descriptors = try daemon.settledDescriptorCount(atMost: 12)
    let before = daemon.descriptors()
    // One more takes signals, from a quarter of a second after the start.
    Thread.sleep(milliseconds: 500)
    let threads = try daemon.settled(atMost: 7, daemon.threadCount)
    let memory = try daemon.memoryByteCount()
    let answers = try abuse.commit(on: daemon.socketPath)
    try expectAnswer()
    let reason = reason(abuse)
    #expect(answers.isEmpty == (reason == nil))
    for answer in answers {
      #expect(String(decoding: answer, as: UTF8.self).contains(reason ?? ""))
    }
    let left = try daemon.settledDescriptorCount(atMost: descriptors)
    #expect(left <= descriptors, "\(daemon.descriptors()), at first \(before)")
    #expect(try daemon.settled(atMost: threads, daemon.threadCount) <= threads)
    try expectAnswer()
    #expect(daemon.isRunning)
    // The daemon was built as this program was.
    if ProcessMemory.isSanitized { return }
    let bound = memory + Self.keptByteCount
    let kept = try daemon.settled(atMost: bound, daemon.memoryByteCount)
    #expect(kept <= bound)
  }
}
