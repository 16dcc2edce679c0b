import Foundation
import Testing
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

/// Large checkpoints; the benchmarks have the largest.
@Suite(.serialized) struct ScaleTests {
  private let directory: TemporaryDirectory
  private let daemon: RunningDaemon
  private let client: Client

  init() throws {
    directory = try TemporaryDirectory()
    daemon = try RunningDaemon(["--linger", "0"])
    client = Client(socket: daemon.socketPath)
  }

  private func variables(_ count: Int) -> [Variable] {
    (0..<count).map {
      Variable(
        Name(LargeCheckpoints.name($0)), dtype: .float32, shape: Shape(LargeCheckpoints.shape))
    }
  }

  /// Returns whether each tensor has the bytes of its number.
  private func expectNumbered(_ resolved: Resolved, _ count: Int) throws {
    let tensors = resolved.tensors
    #expect(tensors.count == count)
    for (number, tensor) in tensors.enumerated() {
      let elements = try tensor.elements(as: Float.self)
      #expect(elements[0] == Float(number) && elements[15] == Float(number))
    }
  }

  @Test func `thousands of tensors are listed and resolved, in any order`() throws {
    let count = 20_000
    let bundle = try LargeCheckpoints.many(count, to: directory.path)
    let checkpoint = try client.open(bundle.prefix)
    let names = (0..<count).map { Name(LargeCheckpoints.name($0)) }
    #expect(try checkpoint.list().map(\.name) == names)
    let variables = variables(count)
    try expectNumbered(try checkpoint.resolve(assigning: ["/": "/"], to: variables), count)
    let shuffled = try checkpoint.resolve(assigning: ["/": "/"], to: variables.shuffled())
    #expect(shuffled.tensors.allSatisfy { $0.tensor == $0.variable.name })
    let pairs = variables.map { AssignmentMap.Pair($0.name, .variable($0.name)) }
    try expectNumbered(
      try checkpoint.resolve(assigning: AssignmentMap(pairs), to: variables), count)
  }

  @Test func `200 shards are opened and resolved`() throws {
    let bundle = try LargeCheckpoints.many(1000, shards: 200, to: directory.path)
    let resolved = try client.open(bundle.prefix).resolve(
      assigning: ["/": "/"], to: variables(1000))
    try expectNumbered(resolved, 1000)
    #expect(Set(resolved.tensors.map(\.region.id)).count == 200)
  }

  @Test func `a tensor with more slices than fit a frame is listed whole`() throws {
    var writer = BundleWriter()
    let count = 130_000
    writer.add("x", dtype: 4, [1], [0])
    writer.change("x") { entry in
      // Offsets this large take room in the index, too, and it may expand only a little.
      entry.shape = [1 << 31, 1 << 31]
      entry.slices = (0..<count).map { [.init((1 << 30) + $0, 1), .init(1 << 30, 1)] }
    }
    let listed = try client.open(try writer.write(to: directory.path).prefix).list()
    #expect(listed.map(\.name) == ["x"])
    #expect(listed.first?.slices.map(\.starts) == (0..<count).map { [(1 << 30) + $0, 1 << 30] })
  }

  @Test func `warmstartctl lists and resolves 200 shards`() throws {
    let bundle = try LargeCheckpoints.many(400, shards: 200, to: directory.path)
    #expect(try run(["list", bundle.prefix]).split(separator: "\n").count >= 400)
    let declared = (0..<400).map {
      "{\"name\": \"\(LargeCheckpoints.name($0))\", \"dtype\": \"float32\", \"shape\": [2, 8]}"
    }
    let path = directory.path + "/variables.json"
    try "{\"variables\": [\(declared.joined(separator: ","))]}".write(
      toFile: path, atomically: false, encoding: .utf8)
    let said = try run([
      "resolve", bundle.prefix, "--assign", "/=/", "--variables", path, "--json",
    ])
    #expect(said.split(separator: "\"variable\"").count == 401)
  }

  @Test func `the far end of 100 GiB is resolved without reading the bytes before it`() throws {
    let bundle = try LargeCheckpoints.sparse(to: directory.path)
    let checkpoint = try client.open(bundle.prefix)
    let before = try byteCountRead()
    let resolved = try checkpoint.resolve(
      assigning: ["last": "last", "first": "first"],
      to: [
        Variable("last", dtype: .float32, shape: [2]), Variable("first", dtype: .uint8, shape: [3]),
      ])
    #expect(try byteCountRead() - before < 1 << 20)
    let last = resolved.tensors[0]
    let elements = try last.elements(as: Float.self)
    #expect(elements[0] == 1 && elements[1] == 2)
    #expect(last.offset == 100 << 30 - 8)
    let tensors = try checkpoint.list()
    #expect(tensors.map(\.byteCount) == [3, LargeCheckpoints.hugeByteCount, 8])
  }

  @Test(.disabled(if: ProcessMemory.isSanitized, "sanitizers take memory for each byte"))
  func `a large checkpoint's memory is freed when its last lease ends`() throws {
    let count = 50_000
    let bundle = try LargeCheckpoints.many(count, to: directory.path)
    let before = try privateByteCount()
    var checkpoint: WarmstartClient.Checkpoint? = try client.open(bundle.prefix)
    // A result holds the checkpoint as well.
    #expect(
      try checkpoint?.resolve(assigning: ["/": "/"], to: variables(count)).tensors.count == count)
    let index = try #require(FileManager.default.contents(atPath: bundle.index)).count
    #expect(try settled(atMost: before + 6 * index) - before <= 6 * index)
    checkpoint = nil
    // The thread's heap keeps up to 4 MiB.
    let kept = 6 << 20
    #expect(try settled(atMost: before + kept) - before <= kept)
  }

  // MARK: The daemon's process

  /// The bytes that the daemon has read from files, page cache or not.
  private func byteCountRead() throws -> Int {
    try field("rchar", of: "io")
  }

  private func privateByteCount() throws -> Int {
    try field("Private_Dirty", of: "smaps_rollup") << 10
  }

  /// Waits until the daemon's own memory is at most this; returns its size.
  private func settled(atMost byteCount: Int) throws -> Int {
    for _ in 0..<100 where try privateByteCount() > byteCount {
      Foundation.Thread.sleep(forTimeInterval: 0.1)
    }
    return try privateByteCount()
  }

  private func field(_ name: String, of file: String) throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(daemon.processID)/\(file)", encoding: .utf8)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(name + ":") })
    let number = try #require(line.split(separator: " ").dropFirst().first)
    return try #require(Int(number))
  }

  /// Runs `warmstartctl` on this test's daemon; returns what it printed.
  private func run(_ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = RunningDaemon.products.appending(path: "warmstartctl")
    process.arguments = ["--socket", daemon.socketPath] + arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: bytes, as: UTF8.self)
  }
}
