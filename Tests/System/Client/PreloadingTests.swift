import Foundation
import Testing
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

/// Preloading, verifying and pinning through a real daemon.
@Suite struct PreloadingTests {
  private static let checkpoints: [String] = {
    let golden = try? Golden.load()
    // One has slices that overlap, which no reader accepts.
    return (golden?.checkpoints ?? [:]).keys.sorted().filter { !$0.contains("overlap") }
  }()

  private let daemon: RunningDaemon
  private let administration: String

  init() throws {
    administration = FileManager.default.temporaryDirectory
      .appending(path: "warmstart-admin-\(UUID().uuidString.prefix(8))").path(percentEncoded: false)
    daemon = try RunningDaemon(["--linger", "0", "--admin-socket", administration])
  }

  @Test(arguments: checkpoints)
  func `every checkpoint that TensorFlow wrote can be preloaded and is sound`(_ id: String) throws {
    let golden = try #require(try Golden.load().checkpoints[id])
    let checkpoint = try Client(socket: daemon.socketPath).open(Golden.path(golden.path))
    let preloaded = try checkpoint.preload(alignment: 64)
    #expect(preloaded.tensorCount + preloaded.unshared.count == checkpoint.tensorCount)
    #expect(try checkpoint.verify() == preloaded)
  }

  @Test func `a damaged tensor is named, and the others are ready`() throws {
    var writer = Fixture.writer
    writer.change("a") { $0.checksum ^= 1 }
    let bundle = try writer.write(to: daemon.directory.path(percentEncoded: false))
    let client = Client(socket: daemon.socketPath)
    let checkpoint = try client.open(bundle.prefix)
    for call in [{ try checkpoint.preload() }, { try checkpoint.verify() }] {
      let error = #expect(throws: WarmstartError.self) { try call() }
      #expect(error?.reason == .checksumMismatch)
      #expect(error?.problems.map(\.tensor) == ["a"])
    }
    let status = try #require(try client.status().checkpoints.first)
    #expect(status.verifiedByteCount > 0)
  }

  @Test func `an administrator's pin keeps a checkpoint until it is unpinned`() throws {
    let bundle = try Fixture.writer.write(to: daemon.directory.path(percentEncoded: false))
    let administrator = Client(socket: administration)
    let generation: String
    do {
      let checkpoint = try administrator.open(bundle.prefix)
      try checkpoint.preload(sealed: true)
      try checkpoint.pin()
      generation = checkpoint.generation
    }
    let pinned = try #require(try administrator.status().checkpoints.first)
    #expect(pinned.isPinned && pinned.leaseCount == 0 && pinned.arenaByteCount > 0)
    let error = #expect(throws: WarmstartError.self) {
      try Client(socket: daemon.socketPath).unpin(generation: generation)
    }
    #expect(error?.reason == .unsupported)
    #expect(
      #expect(throws: WarmstartError.self) { try administrator.evict(generation: generation) }?
        .reason == .inUse)
    try administrator.unpin(generation: generation)
    #expect(try administrator.status().checkpoints.isEmpty)
    #expect(try administrator.evict().checkpointCount == 0)
    #expect(
      #expect(throws: WarmstartError.self) { try administrator.evict(generation: "") }?.reason
        == .invalidRequest)
  }
}
