import Foundation
import SystemPackage
import Testing
import WarmstartClient
import WarmstartMessages
import WarmstartTensorModel
import WarmstartTestSupport

/// Many clients of one daemon, and daemons that come and go.
@Suite(.serialized) struct SharingTests {
  private static func columns() throws -> [Variable] {
    try Partitioner.fixedSize(shards: 4, axis: 1).partitions(
      of: "w", dtype: .float32, shape: [64, 32])
  }

  @Test func `ten clients that ask at once for inner-axis partitions share one arena`() throws {
    let daemon = try RunningDaemon()
    let bundle = try Fixture.writer.write(to: daemon.directory.path(percentEncoded: false))
    let variables = try Self.columns()
    let socket = daemon.socketPath
    let all = try together(10) { number in
      let client = Client(socket: socket, label: "client \(number)")
      let checkpoint = try client.open(bundle.prefix)
      return (checkpoint, try checkpoint.resolve(assigning: ["a": "w"], to: variables))
    }
    for (_, resolved) in all {
      #expect(resolved.tensors.count == 4)
      for (part, tensor) in resolved.tensors.enumerated() {
        #expect(tensor.region.kind == .arena)
        #expect(tensor.region.stability == .sealed)
        #expect(tensor.array == Fixture.columns(part * 8..<part * 8 + 8))
      }
    }
    let observer = Client(socket: socket)
    #expect(try counter("arenas_made", observer) == 1)
    #expect(try counter("pieces_made", observer) == 4)
    #expect(try counter("indexes_parsed", observer) == 1)
    #expect(Set(all.flatMap { $0.1.tensors.map(\.region.id) }).count == 1)
    let status = try observer.status()
    #expect(status.leaseCount == 10)
    #expect(status.checkpoints.map(\.leaseCount) == [10])
  }

  @Test func `several threads may use one client and one checkpoint`() throws {
    let daemon = try RunningDaemon()
    let bundle = try Fixture.writer.write(to: daemon.directory.path(percentEncoded: false))
    let client = Client(socket: daemon.socketPath)
    let checkpoint = try client.open(bundle.prefix)
    let counts = try together(8) { number in
      var sum = 0
      for _ in 0..<20 {
        switch number % 4 {
        case 0: sum += try checkpoint.list().count
        case 1:
          let (map, variables) = Fixture.whole("odd", [4])
          sum +=
            try checkpoint.resolve(assigning: map, to: variables).tensors[0].array
            == Fixture.floats(4) ? 5 : 0
        case 2: sum += try client.status().checkpoints.count * 5
        default: sum += try client.open(bundle.prefix).tensorCount
        }
      }
      return sum
    }
    #expect(counts == Array(repeating: 100, count: 8))
    #expect(try client.status().leaseCount == 1)
  }

  @Test func `the daemon's descriptors are given back when clients close`() throws {
    let daemon = try RunningDaemon()
    let bundle = try Fixture.writer.write(to: daemon.directory.path(percentEncoded: false))
    func use() throws {
      let client = Client(socket: daemon.socketPath)
      let checkpoint = try client.open(bundle.prefix)
      _ = try checkpoint.resolve(assigning: ["cut": "w"], to: Self.columns())
    }
    // The index and the arena stay warm.
    try use()
    let baseline = try daemon.settledDescriptorCount(atMost: 0)
    for _ in 0..<20 { try use() }
    #expect(try daemon.settledDescriptorCount(atMost: baseline) <= baseline)
    #expect(try Client(socket: daemon.socketPath).status().leaseCount == 0)
  }

  @Test func `an open checkpoint holds a lease, and its end gives it back`() throws {
    let daemon = try RunningDaemon()
    let bundle = try Fixture.writer.write(to: daemon.directory.path(percentEncoded: false))
    let client = Client(socket: daemon.socketPath)
    var checkpoint: Checkpoint? = try client.open(bundle.prefix)
    #expect(checkpoint?.tensorCount == 5)
    #expect(try client.status().leaseCount == 1)
    checkpoint = nil
    #expect(try client.status().leaseCount == 0)
  }

  // MARK: Ends

  @Test(arguments: [false, true])
  func `after a restart mappings stay readable and the next call reconnects`(killing: Bool) throws {
    let daemon = try RestartableDaemon()
    let bundle = try Fixture.writer.write(to: daemon.directory.path)
    let client = Client(socket: daemon.socketPath)
    let checkpoint = try client.open(bundle.prefix)
    let (map, whole) = Fixture.whole("a", [64, 32])
    let before = try checkpoint.resolve(assigning: map, to: whole)
    let parts = try checkpoint.resolve(assigning: ["cut": "w"], to: Self.columns())
    daemon.stop(killing: killing)
    #expect(before.tensors[0].array == Fixture.floats(2048))
    #expect(parts.tensors[3].array == Fixture.columns(24..<32))
    let error = #expect(throws: WarmstartError.self) { try checkpoint.list() }
    #expect(error?.reason == .connection)
    try daemon.start()
    #expect(try checkpoint.list().count == 5)
    let after = try checkpoint.resolve(assigning: ["cut": "w"], to: Self.columns())
    #expect(after.tensors.map(\.array) == parts.tensors.map(\.array))
    #expect(parts.tensors[3].array == Fixture.columns(24..<32))
    #expect(try client.status().leaseCount == 1)
  }

  @Test func `a client does not notice that the daemon restarted between two calls`() throws {
    let daemon = try RestartableDaemon()
    let bundle = try Fixture.writer.write(to: daemon.directory.path)
    let client = Client(socket: daemon.socketPath)
    let checkpoint = try client.open(bundle.prefix)
    for killing in [true, false] {
      daemon.stop(killing: killing)
      try daemon.start()
      let (map, whole) = Fixture.whole("odd", [4])
      #expect(
        try checkpoint.resolve(assigning: map, to: whole).tensors[0].array == Fixture.floats(4))
    }
    daemon.stop(killing: true)
    try daemon.start()
    let (map, whole) = Fixture.whole("odd", [4])
    let resolved = try client.resolve(bundle.prefix, assigning: map, to: whole)
    #expect(resolved.tensors[0].array == Fixture.floats(4))
    #expect(try client.status().leaseCount == 1)
  }

  @Test func `a client that is killed in the middle of a call does no harm`() async throws {
    let daemon = try RunningDaemon()
    let directory = daemon.directory.path(percentEncoded: false)
    let (prefix, socket) = (try Fixture.slow.write(to: directory).prefix, daemon.socketPath)
    let observer = Client(socket: socket)
    let checkpoint = try observer.open(prefix)
    let baseline = try daemon.descriptorCount()
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [prefix = prefix as String, socket = socket as String] in
      Foundation.Thread.detachNewThread {
        let observer = Client(socket: socket)
        while let count = try? counter("loads_begun", observer), count == 0 {}
        kill(getpid(), SIGKILL)
      }
      let checkpoint = try Client(socket: socket).open(prefix)
      let (map, variables) = Fixture.whole("slow", [Fixture.slowByteCount], .uint8)
      _ = try checkpoint.resolve(assigning: map, to: variables)
    }
    #expect(try daemon.settledDescriptorCount(atMost: baseline) <= baseline)
    #expect(daemon.isRunning)
    #expect(try observer.status().leaseCount == 1)
    #expect(try observer.status().clientCount == 1)
    let (map, variables) = Fixture.whole("a", [64, 32])
    #expect(
      try checkpoint.resolve(assigning: map, to: variables).tensors[0].array == Fixture.floats(2048)
    )
  }

  @Test func `a call that exceeds its timeout fails with DEADLINE, and the next one works`() throws
  {
    let daemon = try RunningDaemon()
    let bundle = try Fixture.slow.write(to: daemon.directory.path(percentEncoded: false))
    let client = Client(socket: daemon.socketPath)
    let checkpoint = try client.open(bundle.prefix, timeout: .seconds(30))
    let (map, variables) = Fixture.whole("slow", [Fixture.slowByteCount], .uint8)
    let start = Date()
    let error = #expect(throws: WarmstartError.self) {
      try checkpoint.resolve(assigning: map, to: variables, timeout: .milliseconds(150))
    }
    #expect(error?.reason == .deadline)
    #expect(error?.code == .deadlineExceeded)
    #expect(Date().timeIntervalSince(start) < 2)
    #expect(try checkpoint.list(timeout: .seconds(30)).count == 6)
  }

  @Test func `without a daemon the error names the socket`() throws {
    let path = "/tmp/warmstart-nobody-\(UUID().uuidString)"
    let error = #expect(throws: WarmstartError.self) { try Client(socket: path).status() }
    #expect(error?.reason == .connection)
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains(path) == true)
    #expect(error?.underlyingError == .noSuchFileOrDirectory)
    let opening = #expect(throws: WarmstartError.self) {
      try Client(socket: path).open(Golden.path("demo"))
    }
    #expect(opening?.reason == .connection)
  }

  // MARK: Changes

  @Test func `a changed checkpoint is refused until it is opened again, and nothing leaks`() throws
  {
    let daemon = try RestartableDaemon()
    let bundle = try Fixture.writer.write(to: daemon.directory.path)
    let client = Client(socket: daemon.socketPath)
    let checkpoint = try client.open(bundle.prefix)
    let (map, whole) = Fixture.whole("a", [64, 32])
    let before = try checkpoint.resolve(assigning: map, to: whole, options: .sealedOnly)
    Foundation.Thread.sleep(forTimeInterval: 0.02)
    var other = Fixture.writer
    other.header.producer = 2
    try other.write(to: daemon.directory.path)
    let error = #expect(throws: WarmstartError.self) {
      try checkpoint.resolve(assigning: map, to: whole)
    }
    #expect(error?.reason == .checkpointChanged)
    // On a new connection the files are passed again, and have changed.
    daemon.stop(killing: true)
    try daemon.start()
    for _ in 0..<3 {
      let error = #expect(throws: WarmstartError.self) { try checkpoint.list() }
      #expect(error?.reason == .checkpointChanged)
      #expect(try client.status().leaseCount == 0)
    }
    let again = try client.open(bundle.prefix)
    #expect(again.generation != checkpoint.generation)
    #expect(try again.resolve(assigning: map, to: whole).tensors[0].array == Fixture.floats(2048))
    #expect(before.tensors[0].array == Fixture.floats(2048))
  }

  // MARK: Hostile ones

  @Test func `an index with absurd numbers is refused or listed, and the daemon survives`() throws {
    let daemon = try RunningDaemon()
    let directory = daemon.directory.path(percentEncoded: false)
    for number in [-8, Int.min, Int.max, 1 << 62, -(1 << 62)] {
      var writer = Fixture.writer
      writer.add("empty", dtype: 1, [0], [])
      writer.change("empty") { $0.offset = number }
      writer.change("odd") { ($0.offset, $0.byteCount) = (number, number) }
      writer.change("s") { $0.byteCount = number }
      for slice in BundleWriter.corners {
        writer.change(.slice(of: "cut", slice)) { $0.byteCount = number }
      }
      let client = Client(socket: daemon.socketPath)
      let checkpoint = try client.open(
        try writer.write(to: directory, named: "n\(UInt(bitPattern: number))").prefix)
      #expect(try checkpoint.list().count == 6)
      let (map, variables) = Fixture.whole("empty", [0])
      #expect(try checkpoint.resolve(assigning: map, to: variables).tensors[0].array == [])
      for (name, shape, dtype) in [
        ("odd", [4], .float32), ("s", [3], .string), ("cut", [64, 32], .float32),
      ] as [(Name, Shape, DataType)] {
        let (map, variables) = Fixture.whole(name, shape, dtype)
        #expect(throws: WarmstartError.self) {
          try checkpoint.resolve(assigning: map, to: variables)
        }
      }
      #expect(daemon.isRunning)
    }
  }
}

extension BundleWriter {
  /// The slices that the fixture's `cut` is in.
  static let corners: [[Extent]] = [0, 32].flatMap { row in
    [0, 16].map { [Extent(row, 32), Extent($0, 16)] }
  }
}

extension Resolved.Options {
  static var sealedOnly: Resolved.Options {
    var options = Resolved.Options()
    options.sealed = true
    return options
  }
}
