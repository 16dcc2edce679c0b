import CWarmstartFloor
import Foundation
import SystemPackage
import WarmstartClient
import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// Checkpoints and maps of the largest sizes that Warmstart is meant for, through a real daemon.
///
/// Each study has a daemon of its own, which drops a checkpoint as soon as no client has it open.
final class Scale {
  static var studies: [Study] {
    [
      Study(name: "open-100k") { try Scale().open100k() },
      Study(name: "resolve-100k") { try Scale().resolve100k() },
      Study(name: "partitions-100k") { try Scale().partitions100k() },
      Study(name: "shards-200") { try Scale().shards200() },
      Study(name: "sparse-100g") { try Scale().sparse100G() },
    ]
  }

  static let count = 100_000

  let daemon: RunningDaemon

  private init() throws {
    daemon = try RunningDaemon(["--linger", "0"])
  }

  var directory: String { daemon.directory.path(percentEncoded: false) }

  func line(_ name: String, _ values: KeyValuePairs<String, String>) {
    let text = values.map { "\($0) \($1)" }.joined(separator: " | ")
    print(name.padding(toLength: 16, withPad: " ", startingAt: 0), text)
  }

  func milliseconds(_ nanoseconds: Int64) -> String {
    String(format: "%.1f ms", Double(nanoseconds) / 1e6)
  }

  func mebibytes(_ bytes: Int) -> String {
    String(format: "%.1f MiB", Double(bytes) / Double(1 << 20))
  }

  func ratio(_ left: Int64, _ right: Int64) -> String {
    String(format: "%.2f", Double(left) / Double(right))
  }

  // MARK: Opening

  /// Opens and lists a checkpoint of 100,000 tensors that the daemon does not know, beside
  /// TensorFlow.
  ///
  /// The page cache has the files. `WARMSTART_TENSORFLOW` names a Python that can import
  /// TensorFlow.
  private func open100k() throws {
    let bundle = try LargeCheckpoints.many(Scale.count, to: directory)
    let python = ProcessInfo.processInfo.environment["WARMSTART_TENSORFLOW"] ?? ""
    let peer =
      python.isEmpty ? nil : try TensorFlow(python: python, prefix: bundle.prefix)
    let client = Client(socket: daemon.socketPath)
    var opened = Int64.max
    var listed = Int64.max
    var reference = Int64.max
    for _ in 0..<15 {
      // For the daemon, a changed time makes another generation, of which it has nothing.
      guard utimes(bundle.index, nil) == 0 else { throw Errno(rawValue: errno) }
      let start = floor_now()
      let checkpoint = try client.open(bundle.prefix)
      opened = min(opened, floor_now() - start)
      let tensors = try checkpoint.list()
      precondition(tensors.count == Scale.count)
      listed = min(listed, floor_now() - start)
      if let peer { reference = min(reference, try peer.open()) }
    }
    line(
      "open-100k",
      ["open": milliseconds(opened), "open and list": milliseconds(listed)])
    guard peer != nil else { return }
    line(
      "open-100k",
      [
        "TensorFlow": milliseconds(reference), "times open": ratio(reference, opened),
        "times open and list": ratio(reference, listed),
      ])
  }

  // MARK: Resolving

  /// Resolves `{'/': '/'}` for 100,000 variables, beside moving as many bytes over a socket.
  private func resolve100k() throws {
    let bundle = try LargeCheckpoints.many(Scale.count, to: directory)
    let indexByteCount = try size(of: bundle.index)
    let variables = (0..<Scale.count).map {
      Variable(
        Name(LargeCheckpoints.name($0)), dtype: .float32, shape: Shape(LargeCheckpoints.shape))
    }
    let before = try memory()
    let client = Client(socket: daemon.socketPath)
    var checkpoint: WarmstartClient.Checkpoint? = try client.open(bundle.prefix)
    let afterOpening = try memory()
    let moved = try byteCounts(bundle, variables)
    let afterOnce = try memory()
    let path = directory + "/floor"
    let process = floor_serve(path, moved.request, moved.answer, -1)
    precondition(process > 0)
    defer { floor_stop(process) }
    let connection = floor_connect(path)
    defer { floor_close(connection) }
    var resolved = Int64.max
    var floor = Int64.max
    for _ in 0..<15 {
      for _ in 0..<3 { floor = min(floor, floor_ask(connection, moved.request, moved.answer)) }
      resolved = min(
        resolved,
        try timed {
          let answer = try checkpoint?.resolve(assigning: ["/": "/"], to: variables)
          precondition(answer?.tensors.count == Scale.count)
        })
    }
    try resolver(variables)
    line(
      "resolve-100k",
      [
        "request": mebibytes(moved.request), "answer": mebibytes(moved.answer),
        "resolve": milliseconds(resolved), "daemon alone": milliseconds(moved.best),
        "moving": milliseconds(floor), "ratio": ratio(resolved, floor),
        "daemon's": ratio(moved.best, floor),
      ])
    let afterAll = try memory(settling: true)
    checkpoint = nil
    let afterwards = try memory(settling: true)
    line(
      "memory-100k",
      [
        "index": mebibytes(indexByteCount), "opened": mebibytes(afterOpening - before),
        "resolved": mebibytes(afterOnce - before), "settled": mebibytes(afterAll - before),
        "times the index": ratio(Int64(afterAll - before), Int64(indexByteCount)),
        "closed": mebibytes(afterwards - before), "at first": mebibytes(before),
        "peak": mebibytes(try daemonMemory("status", "VmHWM")),
      ])
  }

  /// Measures the resolver alone, in this process, with variables in the checkpoint's order and
  /// shuffled.
  private func resolver(_ variables: [Variable]) throws {
    var catalog = Catalog()
    for variable in variables {
      catalog.append(variable.name, variable.dtype, variable.shape ?? [])
    }
    catalog.index()
    var random = SeededRandom(seed: 3)
    let shuffled = VariableList(variables.shuffled(using: &random))
    let ordered = VariableList(variables)
    let pairs = AssignmentMap(variables.map { .init($0.name, .name($0.name)) })
    var (first, second, third) = (Int64.max, Int64.max, Int64.max)
    for _ in 0..<15 {
      first = min(
        first,
        try timed { _ = try Resolution.resolve(["/": "/"], variables: ordered, in: catalog) })
      second = min(
        second,
        try timed { _ = try Resolution.resolve(["/": "/"], variables: shuffled, in: catalog) })
      third = min(
        third, try timed { _ = try Resolution.resolve(pairs, variables: shuffled, in: catalog) })
    }
    line(
      "resolver-100k",
      [
        "in order": milliseconds(first), "shuffled": milliseconds(second),
        "100,000 pairs": milliseconds(third),
      ])
  }

  /// Sends the requests that a client sends, and counts bytes.
  ///
  /// The best time is the daemon's: from the first byte of a request to the last byte of its
  /// answer, which nothing here parses.
  func byteCounts(
    _ bundle: BundleWriter.Bundle, _ variables: [Variable]
  ) throws -> (request: Int, answer: Int, best: Int64) {
    let connection = Connection(try Socket(connectingTo: FilePath(daemon.socketPath)))
    let files = try [bundle.index, bundle.shards[0]].map { try File(opening: FilePath($0)) }
    let roles = [CheckpointFile(.index, .descriptor(0)), .init(.shard(0, of: 1), .descriptor(1))]
    var call = Call(id: 1)
    call.descriptorCount = files.count
    connection.compose { frame, scratch in
      frame.begin(OpenRequest(.files(roles, label: "")), scratch)
      frame.finish(call, path: Method.open.path)
    }
    try connection.send(files)
    let response = try receive(connection).response
    let opened = try connection.withMessage(response, OpenReply.init(unpacking:_:))
    var best = Int64.max
    var (sent, received) = (0, 0)
    for _ in 0..<10 {
      received = 0
      connection.compose { frame, _ in
        frame.begin(.handle(opened.handle), ["/": "/"], variables, .init())
        frame.finish(Call(id: 2), path: Method.resolve.path)
        sent = frame.byteCount
      }
      let start = floor_now()
      try connection.send()
      while true {
        let reply = try receive(connection)
        received += connection.message.count + Connection.prefixByteCount
        if !reply.more { break }
      }
      best = min(best, floor_now() - start)
    }
    return (sent, received, best)
  }

  private func receive(_ connection: Connection) throws -> Reply {
    guard try connection.receive(limit: Connection.maximumReplyByteCount) else {
      throw Errno.brokenPipe
    }
    return try Reply(parsing: connection.message)
  }

  // MARK: Files

  /// Opens and resolves 20,000 tensors in 200 shards, whose files the client sends by `Attach`.
  private func shards200() throws {
    let bundle = try LargeCheckpoints.many(20_000, shards: 200, to: directory)
    let variables = (0..<20_000).map {
      Variable(
        Name(LargeCheckpoints.name($0)), dtype: .float32, shape: Shape(LargeCheckpoints.shape))
    }
    let client = Client(socket: daemon.socketPath)
    var opened = Int64.max
    var resolved = Int64.max
    for _ in 0..<10 {
      var checkpoint: WarmstartClient.Checkpoint?
      opened = min(opened, try timed { checkpoint = try client.open(bundle.prefix) })
      var answer: Resolved?
      resolved = min(
        resolved,
        try timed { answer = try checkpoint?.resolve(assigning: ["/": "/"], to: variables) })
      precondition(answer?.tensors.count == 20_000)
      precondition(Set(answer?.tensors.map(\.region.id) ?? []).count == 200)
    }
    line(
      "shards-200",
      ["open": milliseconds(opened), "verify and resolve": milliseconds(resolved)])
  }

  /// Resolves the last tensor of a sparse shard of 100 GiB, and then one of 5 GiB in it.
  private func sparse100G() throws {
    let bundle = try LargeCheckpoints.sparse(to: directory)
    let client = Client(socket: daemon.socketPath)
    let cached = try hostMemory("Cached")
    var checkpoint: WarmstartClient.Checkpoint?
    let opened = try timed { checkpoint = try client.open(bundle.prefix) }
    let last = [Variable("last", dtype: .float32, shape: [2])]
    let far = try timed {
      guard let tensor = try checkpoint?.resolve(assigning: ["last": "last"], to: last).tensors[0]
      else { return }
      let elements = try tensor.elements(as: Float.self)
      precondition(elements[1] == 2)
    }
    let afterFar = try hostMemory("Cached")
    let size = LargeCheckpoints.hugeByteCount
    let huge = [Variable("huge", dtype: .uint8, shape: [size])]
    let verified = try timed {
      let tensor = try checkpoint?.resolve(assigning: ["huge": "huge"], to: huge).tensors[0]
      precondition(tensor?.byteCount == size)
    }
    let afterHuge = try hostMemory("Cached")
    line(
      "sparse-100g",
      [
        "open": milliseconds(opened), "far tensor": milliseconds(far),
        "cache grew": mebibytes(afterFar - cached), "5 GiB": milliseconds(verified),
        "rate": String(format: "%.1f GB/s", Double(size) / Double(verified)),
        "then cache grew": mebibytes(afterHuge - afterFar),
        "daemon": mebibytes(try memory()),
      ])
  }

  // MARK: Memory

  /// The memory that would be free if the daemon ended: its private dirty pages.
  private func memory(settling: Bool = false) throws -> Int {
    if settling { Foundation.Thread.sleep(forTimeInterval: 3) }
    return try daemonMemory("smaps_rollup", "Private_Dirty")
  }

  private func daemonMemory(_ file: String, _ field: String) throws -> Int {
    try Scale.field(field, of: "/proc/\(daemon.processID)/\(file)")
  }

  private func hostMemory(_ field: String) throws -> Int {
    try Scale.field(field, of: "/proc/meminfo")
  }

  /// A field that the kernel writes in kB, in bytes.
  private static func field(_ name: String, of path: String) throws -> Int {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix("\(name):") }
    let number = line?.split(separator: " ").dropFirst().first
    return (number.flatMap { Int($0) } ?? 0) << 10
  }

  private func size(of path: String) throws -> Int {
    try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
  }
}
