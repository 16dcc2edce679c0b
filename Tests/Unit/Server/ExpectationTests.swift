import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// Calls that expect a checkpoint with a certain SHA-256.
@Suite(.serialized, .descriptorsBalanced) struct ExpectationTests {
  private let daemon: ServedDaemon
  private let passed: PassedFiles

  init() throws {
    daemon = try ServedDaemon()
    passed = try PassedFiles(Golden.path("v2_partitioned/model.ckpt-7"))
  }

  private func open(expecting digest: [UInt8], _ peer: Peer) throws -> Peer.Answer {
    var reference = passed.reference
    reference.expectedSHA256 = digest
    return try peer.open(passed.files, reference)
  }

  @Test func `a digest of another length is an invalid request`() throws {
    let peer = try daemon.connect()
    let answer = try open(expecting: [1, 2, 3], peer)
    #expect(answer.reason == "INVALID_REQUEST")
    #expect(answer.status?.message == "the expected SHA-256 has 3 bytes, expected 32")
    #expect(daemon.daemon.store.residentCount == 0)
  }

  @Test func `a mismatch is data loss, leaves nothing open, and is not logged as damage`() throws {
    let peer = try daemon.connect()
    let answer = try open(expecting: [UInt8](repeating: 0, count: 32), peer)
    #expect(answer.reason == "CHECKSUM_MISMATCH" && answer.status?.code == .dataLoss)
    #expect(try peer.status().leaseCount == 0)
    #expect(daemon.warnings.isEmpty)
  }

  @Test func `a handle can be compared, and status shows the digest`() throws {
    let peer = try daemon.connect()
    let handle = try peer.handle(passed)
    #expect(try peer.status().checkpoints.map(\.sha256) == [[]])
    var reference = CheckpointReference.handle(handle)
    reference.expectedSHA256 = [UInt8](repeating: 0, count: 32)
    #expect(try peer.open([], reference).reason == "CHECKSUM_MISMATCH")
    let digest = try #require(try peer.status().checkpoints.first).sha256
    #expect(digest.count == 32)
    reference.expectedSHA256 = digest
    let opened = try peer.unpack(try peer.open([], reference), OpenReply.init(unpacking:_:))
    #expect(opened.handle == handle && opened.sha256 == digest)
    let map = AssignmentMap([AssignmentMap.Pair("/", .name("/"))])
    try peer.resolve(reference, map, [])
    // The map assigns nothing, which is found after the digest was compared.
    #expect(try peer.answer().reason != "CHECKSUM_MISMATCH")
  }
}
