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
    #expect(
      try administer("evict", "--all").output == "evicted 0 checkpoints; 1 stays: 1 pinned\n")
    #expect(try administer("unpin", bundle.prefix).status == 0)
    #expect(try administer("status").output.contains("  unused for 0 s\n"))
    #expect(try administer("evict", "--all").output == "evicted 1 checkpoint\n")
    let none = "evicted 0 checkpoints; the daemon holds none\n"
    #expect(try administer("evict", "--all").output == none)
    #expect(
      try administer("evict", "--all", "--json").output
        == #"{"checkpoint_count":0,"pinned_count":0,"leased_count":0}"# + "\n")
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
    #expect(
      pin.errors.contains(
        "only available at the administrators' socket, and \(daemon.socketPath) is another: leave out "
          + "--socket for /run/warmstart/admin.sock, or name the daemon's --admin-socket by --socket\n"
      ))
  }

  @Test func `a socket at which nobody may ask is named together with the administrators'`() throws
  {
    for verb in [["pin", bundle.prefix], ["unpin", "x"], ["evict", "--all"]] {
      let absent = try Command("warmstartctl", ["--socket", "/absent/admin.sock"] + verb)
      #expect(absent.status == 1)
      #expect(
        absent.errors.hasSuffix(
          "no daemon listens at /absent/admin.sock (is warmstartd started?); pin, unpin and evict need "
            + "the administrators' socket: leave out --socket for /run/warmstart/admin.sock\n"))
    }
    // Where this machine has no daemon of the system.
    let usual = try Command("warmstartctl", ["unpin", "x"])
    #expect(
      usual.errors.contains("(CHECKPOINT_NOT_FOUND)")
        || usual.errors.hasSuffix(
          "administrators' socket: another daemon's --admin-socket can be named by --socket\n")
    )
  }

  @Test func `the clients' socket does not read a checkpoint that it may not pin`() throws {
    _ = try run("pin", bundle.prefix)
    #expect(try !administer("status").output.contains(bundle.prefix))
    for verb in ["unpin", "evict"] {
      #expect(try run(verb, bundle.prefix).errors.contains("(UNSUPPORTED)"))
    }
    #expect(try run("evict", "--all").errors.contains("leave out --socket"))
  }

  @Test func `a checkpoint that is held without a pin is not said to be unknown`() throws {
    #expect(try run("preload", bundle.prefix).status == 0)
    let unpin = try administer("unpin", bundle.prefix)
    #expect(unpin.status == 1)
    #expect(unpin.errors.contains("\(bundle.prefix) is not pinned; no checkpoint is pinned\n"))
  }

  @Test func `an empty word is no checkpoint`() throws {
    for verb in ["unpin", "evict"] {
      let command = try administer(verb, "")
      #expect(command.status == 1)
      #expect(
        command.errors.hasSuffix(
          "the checkpoint's path is empty, expected a path or a generation\n"))
    }
  }

  @Test(arguments: ["preload", "pin", "watch"])
  func `an alignment that no job can have is a wrong command line`(_ verb: String) throws {
    let command = try run(verb, bundle.prefix, "--align", "48")
    #expect(command.status == 64)
    #expect(command.errors.contains("--align: expected a power of two from 1 to 4096, not 48"))
  }

  @Test(arguments: ["preload", "pin"])
  func `a V1 table that is missing is noted, and the others are read`(_ verb: String) throws {
    let table = "\(daemon.directory.path(percentEncoded: false))/model-00001-of-00002"
    try FileManager.default.copyItem(
      atPath: Golden.path("v1_sharded/model-00001-of-00002"), toPath: table)
    let command = try administer(verb, table.replacing("00001", with: "?????"))
    #expect(command.status == 0)
    #expect(command.errors.contains("not read: by the names of the other V1 tables, model-00000-"))
  }

  @Test func `an unknown checkpoint is answered with those that are known`() throws {
    #expect(try administer("pin", bundle.prefix).status == 0)
    let unpin = try administer("unpin", "/nowhere/model")
    #expect(unpin.status == 1)
    #expect(
      unpin.errors.contains(
        "checkpoint /nowhere/model is not pinned, expected one of: \(bundle.prefix)\n"))
    let evict = try administer("evict", "/nowhere/model")
    #expect(
      evict.errors.contains(
        "does not hold checkpoint /nowhere/model, expected one of: \(bundle.prefix)\n"))
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

  @Test func `watch reads the newest checkpoint again for a daemon that was restarted`() throws {
    let link = daemon.directory.appending(path: "link").path(percentEncoded: false)
    func point(to socket: String) throws {
      let next = "\(link)-next"
      try FileManager.default.createSymbolicLink(atPath: next, withDestinationPath: socket)
      // The link always leads to a daemon.
      let status = unsafe rename(next, link)
      #expect(status == 0)
    }
    try point(to: daemon.socketPath)
    let watch = Process()
    let output = Pipe()
    watch.executableURL = RunningDaemon.products.appending(path: "warmstartctl")
    watch.arguments = ["--socket", link, "watch", bundle.prefix, "--interval", "0.05"]
    watch.standardOutput = output
    try watch.run()
    defer {
      kill(watch.processIdentifier, SIGKILL)
      watch.waitUntilExit()
    }
    func nextLine() -> String {
      var waiting = pollfd(
        fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&waiting, 1, 60_000) == 1 else { return "nothing in a minute" }
      return String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    }
    #expect(nextLine().contains(" 3.0 KiB ready ("))
    let successor = try RunningDaemon()
    try point(to: successor.socketPath)
    #expect(daemon.stop() == 0)
    #expect(nextLine().contains(" 3.0 KiB ready ("))
    let status = try Command("warmstartctl", ["--socket", successor.socketPath, "status"]).output
    #expect(status.contains("leased\n"))
  }

  // MARK: metrics

  @Test func `metrics are OpenMetrics text`() throws {
    #expect(try administer("pin", bundle.prefix).status == 0)
    let command = try administer("metrics")
    #expect(command.status == 0 && command.output.hasSuffix("\n# EOF\n"))
    let lines = command.output.split(separator: "\n")
    #expect(lines.contains("# TYPE warmstart_warm_bytes gauge"))
    #expect(lines.contains("# UNIT warmstart_warm_bytes bytes"))
    // Prometheus' older text format, which node_exporter reads, has no other types.
    let types = lines.filter { $0.hasPrefix("# TYPE ") }.compactMap {
      $0.split(separator: " ").last
    }
    #expect(types.allSatisfy { ["gauge", "counter"].contains($0) })
    #expect(lines.contains("warmstart_build_info{version=\"0.1.0\"} 1"))
    #expect(lines.contains("warmstart_runs_verified_total 2"))
    #expect(
      lines.contains { line in
        line.hasPrefix("warmstart_checkpoint_pinned{generation=")
          && line.hasSuffix(",path=\"\(bundle.prefix)\"} 1")
      })
  }
}
