import Foundation
import Testing
import WarmstartTestSupport

/// `warmstartctl preload`, `verify`, `pin`, `unpin` and `evict`.
@Suite struct PreloadCommandTests {
  private let daemon: RunningDaemon
  private let administration: String
  private let bundle: BundleWriter.Bundle

  private static var writer: BundleWriter {
    var writer = BundleWriter()
    writer.add("a", dtype: 4, [2048], [UInt8](repeating: 1, count: 2048))
    writer.add("b", dtype: 4, [1024], [UInt8](repeating: 2, count: 1024))
    return writer
  }

  init() throws {
    administration = FileManager.default.temporaryDirectory
      .appending(path: "warmstart-admin-\(UUID().uuidString.prefix(8))").path(percentEncoded: false)
    daemon = try RunningDaemon(["--admin-socket", administration])
    bundle = try Self.writer.write(to: daemon.directory.path(percentEncoded: false))
  }

  private func run(_ arguments: String...) throws -> Command {
    try Command("warmstartctl", ["--socket", daemon.socketPath] + arguments)
  }

  private func administer(_ arguments: String...) throws -> Command {
    try Command("warmstartctl", ["--socket", administration] + arguments)
  }

  @Test(arguments: [("preload", "ready"), ("verify", "sound")])
  func `what was read is reported`(verb: String, state: String) throws {
    let command = try run(verb, bundle.prefix)
    #expect(command.status == 0 && command.errors.isEmpty)
    #expect(command.output.hasPrefix("\(bundle.prefix): 2 tensors, 3.0 KiB \(state) ("))
    let json = try run(verb, bundle.prefix, "--json")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(report["tensor_count"] as? Int == 2 && report["byte_count"] as? Int == 3072)
    #expect(report["checkpoint"] as? String == bundle.prefix)
    #expect(report["unshared"] as? [String] == [])
  }

  @Test(arguments: ["preload", "verify"])
  func `damage is reported, and the exit status is 1`(_ verb: String) throws {
    var writer = Self.writer
    writer.change("b") { $0.checksum ^= 1 }
    let damaged = try writer.write(
      to: daemon.directory.path(percentEncoded: false), named: "damaged")
    let command = try run(verb, damaged.prefix)
    #expect(command.status == 1 && command.output.isEmpty)
    #expect(command.errors.contains("(CHECKSUM_MISMATCH): \(damaged.prefix): tensor b is damaged"))
  }

  @Test func `a checkpoint is pinned, shown, unpinned by its path, and evicted`() throws {
    let pin = try administer("pin", bundle.prefix)
    #expect(pin.status == 0)
    #expect(pin.output.contains("2 tensors, 3.0 KiB pinned"))
    #expect(try administer("status").output.contains("  pinned\n"))
    let evict = try administer("evict", bundle.prefix)
    #expect(evict.status == 1)
    #expect(evict.errors.contains("(IN_USE)"))
    #expect(try administer("evict", "--all").output == "evicted 0 checkpoints\n")
    #expect(try administer("unpin", bundle.prefix).status == 0)
    #expect(try administer("status").output.contains("  unused for 0 s\n"))
    #expect(try administer("evict", "--all").output == "evicted 1 checkpoint\n")
  }

  @Test func `a pinned checkpoint whose file was replaced is unpinned by its path`() throws {
    #expect(try administer("pin", bundle.prefix).status == 0)
    // The old files keep a name, and so their pin.
    try FileManager.default.linkItem(atPath: bundle.index, toPath: "\(bundle.index).old")
    try FileManager.default.removeItem(atPath: bundle.index)
    #expect(try administer("unpin", bundle.prefix).status == 0)
    #expect(try !administer("status").output.contains("  pinned\n"))
  }

  @Test func `the clients' socket does not pin, and says where to ask`() throws {
    let pin = try run("pin", bundle.prefix)
    #expect(pin.status == 1)
    #expect(pin.errors.contains("(UNSUPPORTED)"))
    #expect(pin.errors.contains("only available at the administrators' socket"))
  }

  @Test func `an unknown checkpoint is answered with those that are known`() throws {
    #expect(try administer("pin", bundle.prefix).status == 0)
    let unpin = try administer("unpin", "/nowhere/model")
    #expect(unpin.status == 1)
    #expect(
      unpin.errors.contains(
        "the daemon holds no such checkpoint /nowhere/model, expected one of: \(bundle.prefix)"))
    #expect(try administer("evict").status == 64)
  }

  // MARK: watch

  @Test func `watch preloads each checkpoint that the state file names, and keeps the newest`()
    throws
  {
    let directory = daemon.directory.path(percentEncoded: false)
    func save(_ name: String) throws {
      _ = try Self.writer.write(to: directory, named: name)
      try "model_checkpoint_path: \"\(name)\"\n".write(
        toFile: "\(directory)/checkpoint", atomically: true, encoding: .utf8)
    }
    try save("ckpt-1")
    let watch = Process()
    let output = Pipe()
    watch.executableURL = RunningDaemon.products.appending(path: "warmstartctl")
    watch.arguments = [
      "--socket", daemon.socketPath, "watch", directory, "--interval", "0.05", "--json",
    ]
    watch.standardOutput = output
    try watch.run()
    defer {
      // Threads of tests block SIGTERM, and so do the processes that they start.
      kill(watch.processIdentifier, SIGKILL)
      watch.waitUntilExit()
    }
    func nextPath() throws -> String? {
      let line = output.fileHandleForReading.availableData
      let report = try JSONSerialization.jsonObject(with: line) as? [String: Any]
      return report?["checkpoint"] as? String
    }
    #expect(try nextPath()?.hasSuffix("/ckpt-1") == true)
    try save("ckpt-2")
    #expect(try nextPath()?.hasSuffix("/ckpt-2") == true)
    let status = try administer("status").output
    #expect(status.split(separator: "\n").count { $0.hasSuffix("leased") } >= 1)
  }

  // MARK: metrics

  @Test func `metrics are OpenMetrics text`() throws {
    #expect(try administer("pin", bundle.prefix).status == 0)
    let command = try administer("metrics")
    #expect(command.status == 0 && command.output.hasSuffix("\n# EOF\n"))
    let lines = command.output.split(separator: "\n")
    #expect(lines.contains("# TYPE warmstart_warm_bytes gauge"))
    #expect(lines.contains("# UNIT warmstart_warm_bytes bytes"))
    #expect(lines.contains("warmstart_build_info{version=\"0.1.0\"} 1"))
    #expect(lines.contains("warmstart_runs_verified_total 2"))
    #expect(
      lines.contains { line in
        line.hasPrefix("warmstart_checkpoint_pinned{generation=")
          && line.hasSuffix(",path=\"\(bundle.prefix)\"} 1")
      })
  }
}
