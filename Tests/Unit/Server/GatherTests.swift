import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel
import WarmstartTestSupport

/// Variables made from chosen rows or columns, resolved over connections.
@Suite(.serialized, .descriptorsBalanced) struct GatherTests {
  private let daemon: ServedDaemon
  private let passed: PassedFiles
  private let directory: TemporaryDirectory

  init() throws {
    daemon = try ServedDaemon()
    directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("x", dtype: 1, [3, 2], (0..<24).map { UInt8($0) })
    writer.add("y", dtype: 1, [2], (0..<8).map { UInt8($0) })
    passed = try PassedFiles(try writer.write(to: directory.path).prefix)
  }

  /// Asks for `x` and `y`; `gathers` are for both, as far as there are any.
  private func resolve(
    _ peer: Peer, _ gathers: [Gather?], _ shapes: [Shape?] = [nil, nil],
    _ options: ResolveRequest.Options = .init()
  ) throws -> Peer.Answer {
    var variables = VariableList(
      [
        Variable("v", dtype: .float32, shape: shapes[0]),
        Variable("w", dtype: .float32, shape: shapes[1]),
      ])
    for (position, gather) in gathers.enumerated() {
      if let gather { variables.gather(position, gather) }
    }
    let request = ResolveRequest(
      checkpoint: passed.reference, map: ["x": "v", "y": "w"], variables: variables,
      options: options)
    try peer.call(.resolve, files: passed.files) { $0.begin(request, $1) }
    return try peer.answer()
  }

  private func rows(_ indices: Int...) -> Gather { Gather([Gather.Axis(0, indices)]) }

  private func bytes(_ answer: Peer.Answer, _ reply: ResolveReply, _ position: Int) throws
    -> [UInt8]
  {
    let handle = reply.handles[position]
    guard case .arena(let descriptor) = reply.regions[handle.region].place else {
      throw Problem(.system, "not an arena")
    }
    var bytes = [UInt8](repeating: 0xff, count: handle.byteCount)
    let count = try answer.files[descriptor].read(
      at: handle.offset, into: &bytes, range: 0..<handle.byteCount)
    #expect(count == handle.byteCount)
    return bytes
  }

  @Test func `the handle has the gathered shape, and its arena the rows`() throws {
    let answer = try resolve(daemon.connect(), [rows(2, -1, 0, 2), nil])
    let reply = try daemon.connect().unpack(answer, unpackResolveReply)
    #expect(reply.handles.count == 2)
    let handle = reply.handles[0]
    #expect(handle.shape == [4, 2] && handle.byteCount == 32)
    #expect(handle.starts == nil && handle.strides.isEmpty && handle.tensor == "x")
    #expect(
      try bytes(answer, reply, 0)
        == Array(16..<24) + Array(repeating: 0, count: 8) + Array(0..<8) + Array(16..<24))
    // The other one is served from its file as usual.
    let region = reply.regions[reply.handles[1].region]
    #expect(region.place == .file(1) && reply.handles[1].shape == [2])
  }

  @Test func `columns and rows at once`() throws {
    let both = Gather([Gather.Axis(0, [1, -1]), Gather.Axis(1, [1, 1, 0])])
    let answer = try resolve(daemon.connect(), [both, rows(1)], [[2, 3], [-1]])
    let reply = try daemon.connect().unpack(answer, unpackResolveReply)
    #expect(reply.handles[0].shape == [2, 3] && reply.handles[1].shape == [1])
    let second = Array(12..<16) as [UInt8]
    #expect(
      try bytes(answer, reply, 0)
        == second + second + Array(8..<12) + Array(repeating: 0, count: 12))
    #expect(try bytes(answer, reply, 1) == Array(4..<8))
  }

  @Test func `connections with equal lists share an arena, whatever else they ask for`() throws {
    let (first, second) = (try daemon.connect(), try daemon.connect())
    let one = try first.unpack(try resolve(first, [rows(2, -1), nil]), unpackResolveReply)
    let same = try second.unpack(
      try resolve(second, [rows(2, -1), nil], [[2, 2], nil]), unpackResolveReply)
    func arena(_ reply: ResolveReply) -> UInt64 { reply.regions[reply.handles[0].region].id }
    #expect(arena(one) == arena(same))
    #expect(try second.status().checkpoints.map(\.arenaCount) == [1])
    let other = try second.unpack(try resolve(second, [rows(-1, 2), nil]), unpackResolveReply)
    #expect(arena(other) != arena(one))
    #expect(try second.status().checkpoints.map(\.arenaCount) == [2])
  }

  @Test func `the same list again is answered from memory`() throws {
    let (first, second) = (try daemon.connect(), try daemon.connect())
    _ = try first.unpack(try resolve(first, [rows(2, -1), nil]), unpackResolveReply)
    _ = try second.unpack(try resolve(second, [rows(2, -1), nil]), unpackResolveReply)
    let counters = try second.status().counters
    #expect(counters.first { $0.name == "repeated_answers" }?.value == 1)
  }

  @Test func `indices that the tensor lacks are refused, or skipped if only the shape differs`()
    throws
  {
    let peer = try daemon.connect()
    #expect(try resolve(peer, [rows(3), nil]).reason == "INVALID_REQUEST")
    #expect(try resolve(peer, [rows(1), nil], [[3, 2], nil]).reason == "SHAPE_MISMATCH")
    var options = ResolveRequest.Options()
    options.resolution = .skipMismatched
    let reply = try peer.unpack(
      try resolve(peer, [rows(1), nil], [[3, 2], nil], options), unpackResolveReply)
    #expect(reply.report.skipped == [.init(variable: 0, tensor: "x", storedShape: [3, 2])])
  }

  @Test func `bytes that were read are read again on request`() throws {
    let peer = try daemon.connect()
    var options = ResolveRequest.Options()
    options.readAgain = true
    _ = try peer.unpack(
      try resolve(peer, [rows(0), nil], [nil, nil], options), unpackResolveReply)
    #expect(try peer.status().checkpoints.map(\.verifiedByteCount) == [32])
  }
}
