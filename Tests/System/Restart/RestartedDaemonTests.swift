import Foundation
import SystemPackage
import Testing
import WarmstartClient
import WarmstartHarness
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// Daemons that are killed or stopped and started again by a service manager that keeps
/// descriptors.
@Suite(.serialized) struct RestartedDaemonTests {
  private static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [4000, 2], (0..<8000).map { UInt8($0 % 251) })
    writer.add("b", dtype: 4, [100], [UInt8](repeating: 9, count: 100))
    return writer
  }

  /// The inodes of the arenas that this process has mapped of the only checkpoint of a daemon.
  ///
  /// Other tests map arenas of theirs at the same time.
  private func arenaInodes(_ client: Client) throws -> Set<Substring> {
    let checkpoint = try #require(try client.status().checkpoints.first)
    // Foundation reads the first page only.
    let bytes = try File(opening: "/proc/self/maps").readToEnd(limit: 1 << 24) ?? []
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    return Set(
      lines.filter { $0.contains("memfd:warmstart:\(checkpoint.generation)") }.compactMap {
        $0.split(separator: " ", omittingEmptySubsequences: true).dropFirst(4).first
      })
  }

  private func sealed(_ client: Client, _ prefix: String) throws -> Resolved {
    var options = Resolved.Options()
    options.sealed = true
    return try client.resolve(
      prefix, assigning: ["/": "/"],
      to: [
        Variable("a", dtype: .uint8, shape: [4000, 2]), Variable("b", dtype: .uint8, shape: [100]),
      ], options: options)
  }

  private func counter(_ name: String, _ client: Client) throws -> Int? {
    try client.status().counters.first { $0.name == name }?.value
  }

  @Test(arguments: [SIGKILL, SIGTERM])
  func `the next daemon grants the same arena, and reads nothing`(signal: Int32) throws {
    let directory = try TemporaryDirectory()
    let bundle = try Self.writer.write(to: directory.path)
    let manager = try StandInManager()
    try manager.start()
    let client = Client(socket: manager.socketPath)
    var held = [try sealed(client, bundle.prefix)]
    // Tensors are mapped when they are looked at.
    let bytes = held[0].tensors.map(\.array)
    let inodes = try arenaInodes(client)
    #expect(!inodes.isEmpty)
    #expect(manager.waitForNames { $0.count == 3 })
    for _ in 0..<3 {
      manager.end(signal)
      try manager.start()
      held.append(try sealed(client, bundle.prefix))
      #expect(held[held.count - 1].tensors.map(\.array) == bytes)
      #expect(try arenaInodes(client) == inodes)
      #expect(try counter("loads_begun", client) == 0)
      #expect(try counter("indexes_parsed", client) == 0)
      #expect(try counter("arenas_restored", client) == 1)
    }
    let restored = "restored from the descriptor store: checkpoints 1,"
    #expect(manager.statuses.contains { $0.hasPrefix(restored) })
    withExtendedLifetime(held) {}
  }

  @Test(arguments: [SIGKILL, SIGTERM])
  func `the next daemon serves published names from the same files`(signal: Int32) throws {
    let directory = try TemporaryDirectory()
    let bundle = try Self.writer.write(to: directory.path)
    let manager = try StandInManager()
    try manager.start()
    let name = try PublishedName("bert")
    try Client(socket: manager.administrationPath).open(bundle.prefix).pin(as: Publication(name))
    // The index, the data file, the record of the checkpoint and the record of the names.
    #expect(manager.waitForNames { $0.count == 4 })
    let client = Client(socket: manager.socketPath)
    let bytes = try sealed(client, "name:bert").tensors.map(\.array)
    for _ in 0..<2 {
      manager.end(signal)
      try manager.start()
      #expect(try sealed(client, "name:bert").tensors.map(\.array) == bytes)
      #expect(try counter("indexes_parsed", client) == 0)
    }
    try Client(socket: manager.administrationPath).unpin(name)
    manager.end(signal)
    try manager.start()
    let error = #expect(throws: WarmstartError.self) { try sealed(client, "name:bert") }
    #expect(error?.reason == .checkpointNotFound)
  }

  @Test func `the next daemon closes what it discards or evicts`() throws {
    let directory = try TemporaryDirectory()
    let bundle = try Self.writer.write(to: directory.path)
    let manager = try StandInManager()
    try manager.start()
    do {
      let client = Client(socket: manager.socketPath)
      _ = try sealed(client, bundle.prefix)
      #expect(manager.waitForNames { $0.count == 3 })
    }
    manager.end(SIGKILL)
    try manager.start(["--linger", "1"], extra: [("stored", "/etc/passwd")])
    #expect(manager.statuses.contains { $0.contains("arenas 1 of") && $0.contains("discarded 1") })
    // Nothing keeps the checkpoint, so the daemon soon evicts it.
    #expect(manager.waitForNames { $0.isEmpty })
    #expect(
      manager.waitForOpenFiles { files in
        !files.contains {
          $0.contains("memfd:") || $0.contains(bundle.prefix) || $0 == "/etc/passwd"
        }
      })
  }

  @Test func `a stranger's descriptor is discarded`() throws {
    let manager = try StandInManager()
    try manager.start(extra: [("stored", "/etc/passwd"), ("arena.x.0.y", "/proc/self/exe")])
    #expect(manager.statuses.contains { $0.contains("discarded 2") })
    #expect(try Client(socket: manager.socketPath).status().checkpoints.isEmpty)
  }
}

extension Tensor {
  /// A copy of the bytes.
  fileprivate var array: [UInt8] {
    let span = Span<UInt8>(_bytes: bytes)
    return span.indices.map { span[$0] }
  }
}
