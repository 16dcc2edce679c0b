import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// Replies with a call's progress, for clients that ask for them.
@Suite(.serialized, .descriptorsBalanced) struct ProgressTests {
  private static let byteCount = 2 << 30

  private let daemon: ServedDaemon
  private let directory: TemporaryDirectory
  private let passed: PassedFiles

  init() throws {
    daemon = try ServedDaemon()
    directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.addZeros("a", dtype: 4, [Self.byteCount])
    passed = try PassedFiles(try writer.write(to: directory.path).prefix)
  }

  /// Resolves, and returns all replies.
  private func resolve(_ peer: Peer, progress: Bool) throws -> [ResolveReply] {
    var options = ResolveRequest.Options()
    options.progress = progress
    try peer.resolve(
      passed.reference, ["a": "v"], [Variable("v", dtype: .uint8, shape: nil)], files: passed.files,
      options)
    var replies: [ResolveReply] = []
    while true {
      let answer = try peer.answer()
      replies.append(try peer.unpack(answer, unpackResolveReply))
      if !answer.reply.more { return replies }
    }
  }

  @Test func `a long call reports its progress before its answer`() throws {
    let peer = try daemon.connect()
    let replies = try resolve(peer, progress: true)
    let notes = replies.compactMap(\.progress)
    #expect(notes.count == replies.count - 1)
    #expect(notes.allSatisfy { $0.totalByteCount == Self.byteCount })
    let ready = notes.map(\.readyByteCount)
    // That much cannot be read and summed in a tenth of a second.
    #expect(!ready.isEmpty)
    #expect(zip(ready, ready.dropFirst()).allSatisfy { $0 < $1 })
    #expect(ready.allSatisfy { $0 <= Self.byteCount })
    let answer = try #require(replies.last)
    #expect(answer.progress == nil && answer.handles.count == 1 && answer.checkpoint != nil)
    #expect(replies.dropLast().allSatisfy { $0.checkpoint == nil && $0.handles.count == 0 })
    // The piece exists now, for as long as a client has it.
    #expect(try resolve(daemon.connect(), progress: true).count == 1)
    withExtendedLifetime(peer) {}
  }

  @Test func `a client that did not ask gets no progress`() throws {
    #expect(try resolve(daemon.connect(), progress: false).count == 1)
  }
}
