import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartTestSupport

/// Plans: what would be assigned, without reading a tensor.
@Suite(.serialized, .descriptorsBalanced) struct PlanTests {
  private let daemon: ServedDaemon
  private let directory: TemporaryDirectory
  private let bundle: BundleWriter.Bundle

  init() throws {
    daemon = try ServedDaemon()
    directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add(
      "cut", dtype: 1, [4, 2], (0..<32).map { UInt8($0) },
      slices: [[.init(0, 2), .whole], [.init(2, 2), .whole]])
    writer.add("damaged", dtype: 1, [2], [0, 0, 0, 0, 0, 0, 0, 0])
    writer.add("text", strings: [[1, 2], [3]], [2])
    writer.add("far", dtype: 4, [3], [1, 2, 3], in: 1)
    writer.change("damaged") { $0.checksum ^= 1 }
    bundle = try writer.write(to: directory.path)
  }

  private static let variables = [
    Variable("damaged", dtype: .float32, shape: nil), Variable("cut", dtype: .float32, shape: nil),
    Variable("text", dtype: .string, shape: nil), Variable("far", dtype: .uint8, shape: nil),
    Variable("rows", dtype: .float32, shape: nil),
    Variable("other", dtype: .uint8, shape: [2]),
  ]

  private static let map: AssignmentMap = [
    "cut": "cut", "damaged": "damaged", "text": "text", "far": "far",
  ]

  private func plan(
    _ peer: Peer, without missing: Int? = nil,
    _ change: (inout ResolveRequest.Options) -> Void = { _ in }
  ) throws -> Peer.Answer {
    let passed = try PassedFiles(bundle.prefix, shardCount: 2)
    var options = ResolveRequest.Options()
    options.planOnly = true
    change(&options)
    let shards = [0, 1].filter { $0 != missing }.map { shard in
      CheckpointFile(.shard(shard, of: 2), .descriptor(1 + shard))
    }
    try peer.resolve(
      .files([CheckpointFile(.index, .descriptor(0))] + shards, label: ""), Self.map,
      Self.variables, files: passed.files, options)
    return try peer.answer()
  }

  private func unpack(_ answer: Peer.Answer, _ peer: Peer) throws -> ResolveReply {
    try peer.unpack(answer) { bytes, scratch throws(MessageError) in
      try ResolveReply(unpacking: bytes, scratch, isPlan: true)
    }
  }

  @Test func `a plan has everything but regions, and reads nothing`() throws {
    let peer = try daemon.connect()
    let answer = try plan(peer)
    let reply = try unpack(answer, peer)
    #expect(reply.checkpoint?.tensorCount == 4)
    #expect(reply.regions.isEmpty && answer.files.isEmpty)
    let handles = (0..<reply.handles.count).map { reply.handles[$0] }
    #expect(handles.map(\.variable) == [0, 1, 2, 3])
    #expect(handles.map(\.shape) == [[2], [4, 2], [2], [3]])
    #expect(handles.map(\.byteCount) == [8, 32, 0, 3])
    #expect(reply.report.uncovered == [4, 5])
    let status = try peer.status()
    #expect(status.checkpoints.map(\.verifiedByteCount) == [0])
    #expect(status.checkpoints.map(\.arenaCount) == [0])
    #expect(status.counters.first { $0.name == "loads_begun" }?.value == 0)
  }

  @Test func `a plan needs no room, and ignores the request to read again`() throws {
    let peer = try daemon.connect()
    let answer = try plan(peer) { ($0.readAgain, $0.sealed) = (true, true) }
    #expect(try unpack(answer, peer).handles.count == 4)
    #expect(try peer.status().checkpoints.map(\.verifiedByteCount) == [0])
  }

  @Test func `a plan is refused for what the index and the sizes of files show`() throws {
    let peer = try daemon.connect()
    let missing = try plan(peer, without: 1)
    #expect(missing.reason == "CHECKPOINT_NOT_FOUND")
    try BundleFile.truncate(bundle.shards[1], to: 2)
    #expect(try plan(peer).reason == "TRUNCATED")
  }

  @Test func `a remembered plan does not answer a request for bytes, nor the reverse`() throws {
    let peer = try daemon.connect()
    _ = try unpack(try plan(peer), peer)
    let passed = try PassedFiles(bundle.prefix, shardCount: 2)
    let map: AssignmentMap = ["cut": "cut"]
    for isPlan in [true, false, true] {
      var options = ResolveRequest.Options()
      options.planOnly = isPlan
      try peer.resolve(
        passed.reference, map, [Self.variables[1]], files: passed.files, options)
      let answer = try peer.answer()
      #expect(answer.files.count == (isPlan ? 0 : 1))
    }
    try peer.resolve(passed.reference, Self.map, Self.variables, files: passed.files)
    #expect(try peer.answer().reason == "CHECKSUM_MISMATCH")
  }
}
