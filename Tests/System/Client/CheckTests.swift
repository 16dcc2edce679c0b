import Foundation
import Testing
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

/// What a client can find out, and demand, about a checkpoint's files: `check` and `Expectation`.
@Suite struct CheckTests {
  private let daemon: RunningDaemon
  private let client: Client
  private let bundle: BundleWriter.Bundle

  init() throws {
    daemon = try RunningDaemon()
    client = Client(socket: daemon.socketPath)
    bundle = try Fixture.writer.write(to: daemon.directory.path(percentEncoded: false))
  }

  private func resolve(sealed: Bool = false) throws -> Resolved {
    let (map, variables) = Fixture.whole("a", [64, 32])
    var options = Resolved.Options()
    options.sealed = sealed
    return try client.resolve(bundle.prefix, assigning: map, to: variables, options: options)
  }

  /// Changes the data file in place.
  private func change(_ change: (FileHandle) throws -> Void) throws {
    let file = try FileHandle(forUpdating: URL(filePath: bundle.shards[0]))
    try change(file)
    try file.close()
  }

  @Test func `tensors in an unchanged file, or one that was replaced, pass`() throws {
    let resolved = try resolve()
    #expect(resolved.tensors[0].region.kind == .file)
    try resolved.check()
    try FileManager.default.removeItem(atPath: bundle.shards[0])
    try Data([1, 2, 3]).write(to: URL(filePath: bundle.shards[0]))
    try resolved.check()
    try resolved.tensors[0].check()
  }

  @Test func `a write in place is found, and names the file`() throws {
    let resolved = try resolve()
    try change { try $0.write(contentsOf: Data([42])) }
    for check in [resolved.check, resolved.tensors[0].check, resolved.tensors[0].region.check] {
      let error = #expect(throws: WarmstartError.self) { try check() }
      #expect(error?.reason == .checkpointChanged)
      #expect(
        error?.message
          == "\(bundle.shards[0]) was written since it was opened; open the checkpoint again")
    }
  }

  @Test func `a truncated file is found with both sizes`() throws {
    let resolved = try resolve()
    let size = try Data(contentsOf: URL(filePath: bundle.shards[0])).count
    try change { try $0.truncate(atOffset: 100) }
    let error = #expect(throws: WarmstartError.self) { try resolved.check() }
    #expect(error?.message.contains(" was truncated from \(size) to 100 bytes since") == true)
  }

  @Test func `sealed tensors pass, whatever happens to the file`() throws {
    let resolved = try resolve(sealed: true)
    try change { try $0.truncate(atOffset: 0) }
    try resolved.check()
  }

  /// What `cat model.index model.data-* | sha256sum` prints.
  private func digest() throws -> String {
    let command = try Command(
      "/bin/sh", ["-c", "cat '\(bundle.prefix)'.index '\(bundle.prefix)'.data-* | sha256sum"])
    return String(command.output.prefix(64))
  }

  @Test func `a checkpoint with the expected digest opens, and shows it`() throws {
    #expect(try client.open(bundle.prefix).sha256 == nil)
    let digest = try digest()
    let opened = try client.open(bundle.prefix, expecting: .sha256(digest.uppercased()))
    #expect(opened.sha256 == digest)
    try opened.preload(expecting: .sha256(digest))
    let (map, variables) = Fixture.whole("a", [64, 32])
    let resolved = try client.resolve(
      bundle.prefix, assigning: map, to: variables, expecting: .sha256(digest))
    #expect(resolved.tensors.count == 1)
    #expect(try client.status().checkpoints.map(\.sha256.count) == [32])
  }

  @Test func `a checkpoint with another digest is refused, and not opened`() throws {
    let digest = try digest()
    let wrong = String(repeating: "0", count: 64)
    let error = #expect(throws: WarmstartError.self) {
      try client.open(bundle.prefix, expecting: .sha256(wrong))
    }
    #expect(error?.reason == .checksumMismatch)
    #expect(error?.message.contains("have the SHA-256 \(digest), expected \(wrong)") == true)
    #expect(error?.message.contains("cat model.index") == true)
    #expect(try client.status().leaseCount == 0)
  }

  @Test(arguments: [
    "", "abc", String(repeating: "g", count: 64), String(repeating: "a", count: 65),
  ])
  func `a text that is no digest is refused before the daemon is asked`(digits: String) throws {
    let error = #expect(throws: WarmstartError.self) {
      try Client(socket: "/nowhere").open(bundle.prefix, expecting: .sha256(digits))
    }
    #expect(error?.reason == .invalidRequest)
  }
}
