import Foundation
import Testing
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

/// What a client gets for a map, and how it may use the memory.
@Suite struct ResolvingTests {
  private let daemon: RunningDaemon
  private let checkpoint: Checkpoint
  private let bundle: BundleWriter.Bundle

  init() throws {
    daemon = try RunningDaemon()
    bundle = try Fixture.writer.write(to: daemon.directory.path(percentEncoded: false))
    checkpoint = try Client(socket: daemon.socketPath).open(bundle.prefix)
  }

  private func resolve(
    _ tensor: Name, _ shape: Shape, _ dtype: DataType = .float32,
    _ change: (inout Resolved.Options) -> Void = { _ in }
  ) throws -> Tensor {
    let (map, variables) = Fixture.whole(tensor, shape, dtype)
    var options = Resolved.Options()
    change(&options)
    return try #require(
      try checkpoint.resolve(assigning: map, to: variables, options: options).tensors.first)
  }

  @Test func `an aligned tensor is the file's own page cache`() throws {
    let tensor = try resolve("a", [64, 32])
    #expect(tensor.region.kind == .file)
    #expect(tensor.array == Fixture.floats(2048))
    #expect(!tensor.region.isWritable)
  }

  @Test(arguments: [0, 1, 64, 4096])
  func `bytes have the requested alignment`(_ alignment: Int) throws {
    for (name, shape) in [("a", [64, 32]), ("odd", [4]), ("cut", [64, 32])] as [(Name, Shape)] {
      let tensor = try resolve(name, shape) { $0.alignment = alignment }
      #expect(tensor.alignment >= max(4, alignment))
      #expect(tensor.offset % tensor.alignment == 0)
      #expect(tensor.alignment == 4096 || tensor.offset % (2 * tensor.alignment) != 0)
      let address = unsafe try tensor.elements(as: Float.self).withUnsafeBufferPointer {
        UInt(bitPattern: $0.baseAddress)
      }
      #expect(address % UInt(max(4, alignment)) == 0)
    }
  }

  @Test func `a plan describes tensors and has no bytes`() throws {
    let tensor = try resolve("cut", [64, 32]) { ($0.planOnly, $0.copyOnWrite) = (true, true) }
    #expect(tensor.region.kind == .planned)
    #expect(tensor.shape == [64, 32] && tensor.byteCount == 8192 && tensor.tensor == "cut")
    let errors = [
      #expect(throws: WarmstartError.self) { _ = try tensor.elements(as: Float.self) },
      #expect(throws: WarmstartError.self) { _ = try tensor.writable() },
    ]
    #expect(errors.map { $0?.reason } == [.invalidRequest, .invalidRequest])
    #expect(try resolve("cut", [64, 32]).array == Fixture.floats(2048))
  }

  @Test(arguments: [3, 8192, 65, -1, .max])
  func `an impossible alignment is refused`(_ alignment: Int) {
    let error = #expect(throws: WarmstartError.self) {
      try resolve("a", [64, 32]) { $0.alignment = alignment }
    }
    #expect(error?.reason == .invalidRequest)
  }

  @Test func `sealed bytes never come from a mapped file`() throws {
    let tensor = try resolve("a", [64, 32]) { $0.sealed = true }
    #expect(tensor.region.kind == .arena)
    #expect(tensor.region.stability == .sealed)
    #expect(tensor.array == Fixture.floats(2048))
    // A change to the file does not change them.
    try BundleFile.truncate(bundle.shards[0], to: 0)
    #expect(tensor.array == Fixture.floats(2048))
  }

  @Test func `numbers are cast to the variable's type, once for all clients`() throws {
    let doubles = try resolve("a", [64, 32], .float64) { $0.cast = true }
    #expect(doubles.dtype == .float64 && doubles.region.kind == .arena)
    let elements = try doubles.elements(as: Double.self)
    for index in elements.indices { #expect(elements[index] == Double(index)) }
    let again = try resolve("a", [64, 32], .float64) { $0.cast = true }
    #expect(again.region.id == doubles.region.id && again.offset == doubles.offset)
    let error = #expect(throws: WarmstartError.self) { try resolve("a", [64, 32], .float64) }
    #expect(error?.reason == .dtypeMismatch)
  }

  @Test(arguments: [false, true])
  func `axes come in the order that was asked for`(_ strides: Bool) throws {
    let tensor = try resolve("a", [32, 64]) {
      $0.transpose = ["v": [1, 0]]
      $0.strides = strides
    }
    #expect(tensor.shape == [32, 64])
    #expect(tensor.region.kind == (strides ? .file : .arena))
    #expect(tensor.strides == (strides ? [4, 128] : []))
    if !strides {
      let elements = try tensor.elements(as: Float.self)
      for index in elements.indices {
        #expect(elements[index] == Float(index % 64 * 32 + index / 64))
      }
    }
  }

  @Test(arguments: [[0, 1], [1, 1], [1, 2], [0], []])
  func `an order of axes that is none is refused`(_ axes: [Int]) throws {
    let error = #expect(throws: WarmstartError.self) {
      try resolve("a", [32, 64]) { $0.transpose = ["v": axes] }
    }
    #expect(error?.reason == (axes == [0, 1] ? .shapeMismatch : .invalidRequest))
    let unknown = #expect(throws: WarmstartError.self) {
      try resolve("a", [64, 32]) { $0.transpose = ["nowhere": [1, 0]] }
    }
    #expect(unknown?.message == "variable nowhere is transposed, but not declared")
    let parts = try Partitioner.fixedSize(shards: 2)
      .partitions(of: "weights", dtype: .float32, shape: [64, 32])
    var options = Resolved.Options()
    options.transpose = ["wieghts": [1, 0]]
    let misspelled = #expect(throws: WarmstartError.self) {
      try checkpoint.resolve(assigning: ["a": "weights"], to: parts, options: options)
    }
    #expect(misspelled?.message.hasSuffix("but not declared; nearest: weights") == true)
  }

  @Test func `a client that accepts strides gets the file's bytes`() throws {
    let variables = try Partitioner.fixedSize(shards: 2, axis: 1)
      .partitions(of: "w", dtype: .float32, shape: [64, 32])
    var options = Resolved.Options()
    options.strides = true
    let resolved = try checkpoint.resolve(assigning: ["a": "w"], to: variables, options: options)
    for (part, tensor) in resolved.tensors.enumerated() {
      #expect(tensor.region.kind == .file)
      #expect(tensor.strides == [128, 4])
      #expect(tensor.offset == part * 64)
      #expect(tensor.byteCount == 64 * 16 * 4)
      let error = #expect(throws: WarmstartError.self) {
        _ = try tensor.elements(as: Float.self)[0]
      }
      #expect(error?.reason == .invalidRequest)
    }
  }

  // MARK: Spans

  @Test func `elements have the dtype's Swift type, and bits any of its width`() throws {
    let tensor = try resolve("odd", [4])
    let span = try tensor.elements(as: Float.self)
    #expect(span.indices.map { span[$0] } == [0, 1, 2, 3])
    let bits = try tensor.bits(as: UInt32.self)
    #expect(bits[1] == Float(1).bitPattern)
    for (found, error) in [
      (
        "which Double cannot view; expected Float",
        #expect(throws: WarmstartError.self) { _ = try tensor.elements(as: Double.self).count }
      ),
      (
        "which Int32 cannot view; expected Float",
        #expect(throws: WarmstartError.self) { _ = try tensor.elements(as: Int32.self).count }
      ),
      (
        "whose elements have 4 bytes, expected 1 for UInt8",
        #expect(throws: WarmstartError.self) { _ = try tensor.bits(as: UInt8.self).count }
      ),
    ] {
      #expect(error?.reason == .invalidRequest)
      #expect(error?.message == "variable v is float32, \(found)")
    }
    let strings = try resolve("s", [3], .string)
    let error = #expect(throws: WarmstartError.self) {
      _ = try strings.elements(as: Int.self).count
    }
    #expect(
      error?.message == "variable v is string, which Int cannot view; its strings are in `bytes`")
  }

  @Test func `strings are offsets and bytes`() throws {
    let bytes = try resolve("s", [3], .string).array
    #expect(bytes == [0, 5, 5, 8].flatMap { [$0, 0, 0, 0, 0, 0, 0, 0] } + Array("helloyou".utf8))
  }

  // MARK: Writing

  @Test(arguments: ["a", "cut"] as [Name])
  func `no other client sees what a client writes to its copy`(_ name: Name) throws {
    let shared = try resolve(name, [64, 32])
    let tensor = try resolve(name, [64, 32]) { $0.copyOnWrite = true }
    #expect(tensor.region.isWritable)
    var mine = try tensor.writable()
    let other = try tensor.writable()
    var elements = try mine.mutableElements(as: Float.self)
    for index in elements.indices { elements[index] = -1 }
    let written = try mine.elements(as: Float.self)
    #expect(written.indices.allSatisfy { written[$0] == -1 })
    let unwritten = try other.elements(as: Float.self)
    #expect(unwritten.indices.allSatisfy { unwritten[$0] == Float($0) })
    #expect(tensor.array == Fixture.floats(2048))
    #expect(shared.array == Fixture.floats(2048))
    let stranger = try Client(socket: daemon.socketPath).open(bundle.prefix)
    let (map, variables) = Fixture.whole(name, [64, 32])
    #expect(
      try stranger.resolve(assigning: map, to: variables).tensors[0].array == Fixture.floats(2048))
    let file = try Data(contentsOf: URL(filePath: bundle.shards[0]))
    #expect(Array(file.prefix(8192)) == Fixture.floats(2048))
  }

  @Test func `without copy-on-write nothing can be written`() throws {
    let tensor = try resolve("a", [64, 32])
    let error = #expect(throws: WarmstartError.self) { _ = try tensor.writable() }
    #expect(error?.reason == .invalidRequest)
  }

  @Test func `a tensor outlives its checkpoint and its client`() throws {
    func tensor() throws -> Tensor {
      let checkpoint = try Client(socket: daemon.socketPath).open(bundle.prefix)
      let (map, variables) = Fixture.whole("cut", [64, 32])
      return try checkpoint.resolve(assigning: map, to: variables).tensors[0]
    }
    #expect(try tensor().array == Fixture.floats(2048))
  }

  // MARK: Maps

  @Test func `missing tensors are skipped only on request, and unused pairs are reported`() throws {
    let variables = [
      Variable("dense/x", dtype: .int32, shape: [3]),
      Variable("dense/y", dtype: .int32, shape: [3]),
      Variable("lonely", dtype: .float32, shape: [4]),
    ]
    let map = AssignmentMap([.init("scope/", .name("dense/")), .init("gone", .name("lonely"))])
    let error = #expect(throws: WarmstartError.self) {
      try checkpoint.resolve(assigning: map, to: variables)
    }
    #expect(error?.reason == .tensorNotFound)
    #expect(error?.problemCount ?? 0 >= 2)
    var options = Resolved.Options()
    options.skipMissing = true
    let resolved = try checkpoint.resolve(assigning: map, to: variables, options: options)
    #expect(resolved.tensors.map(\.variable.name) == ["dense/x"])
    #expect(Set(resolved.skipped.map(\.variable.name)) == ["dense/y", "lonely"])
    #expect(Set(resolved.skipped.map(\.tensor)) == ["scope/y", "gone"])
    #expect(resolved["dense/x"]?.array == Fixture.floats(3))
    #expect(resolved["dense/y"] == nil)
  }

  @Test func `nothing is granted if the map has any problem`() throws {
    let variables = [
      Variable("p", dtype: .float32, shape: [4], isInStore: false),
      Variable("q", dtype: .float32, shape: [5], isInStore: false),
    ]
    let map = AssignmentMap([.init("odd", .variable("p")), .init("a", .variable("q"))])
    let error = #expect(throws: WarmstartError.self) {
      try checkpoint.resolve(assigning: map, to: variables)
    }
    #expect(error?.reason == .shapeMismatch)
    #expect(error?.problems.first?.variable == "q")
  }

  @Test func `a partition whose offset has other axes than its shape is refused`() throws {
    let client = Client(socket: daemon.socketPath)
    for offset in [[], [0], [0, 0, 0]] {
      let partition = Partition(of: "w", fullShape: [64, 32], offset: offset)
      let variables = [
        Variable("w/part_0", dtype: .float32, shape: [64, 32], partition: partition)
      ]
      let errors = [
        #expect(throws: WarmstartError.self) {
          try checkpoint.resolve(assigning: ["a": "w"], to: variables)
        },
        #expect(throws: WarmstartError.self) {
          try client.resolve(bundle.prefix, assigning: ["a": "w"], to: variables)
        },
      ]
      for error in errors {
        #expect(error?.reason == .invalidRequest)
        #expect(error?.message.contains("w/part_0") == true)
      }
    }
    #expect(try client.status().leaseCount == 1)
  }

  @Test func `axes count from 0 in results and lists`() throws {
    let variables = [
      Variable("x", dtype: .float32, shape: [64, 32]),
      Variable("y", dtype: .float32, shape: [64, 32]),
    ]
    let resolved = try checkpoint.resolve(assigning: ["a": "x", "cut": "y"], to: variables)
    for tensor in resolved.tensors { #expect(tensor.shape.lengths[1] == 32) }
    for tensor in try checkpoint.list() { #expect(tensor.shape.lengths.startIndex == 0) }
  }

  @Test func `exactly the variables that got bytes are found by name`() throws {
    let parts = try Partitioner.fixedSize(shards: 4).partitions(
      of: "w", dtype: .float32, shape: [64, 32])
    let variables =
      parts + [
        Variable("odd", dtype: .float32, shape: [4]), Variable("idle", dtype: .float32, shape: [9]),
      ]
    let resolved = try checkpoint.resolve(assigning: ["a": "w", "odd": "odd"], to: variables)
    #expect(resolved.tensors.map(\.variable.name) == variables.dropLast().map(\.name))
    for tensor in resolved.tensors {
      let found = try #require(resolved[tensor.variable.name])
      #expect(found.variable == tensor.variable)
      #expect(found.offset == tensor.offset && found.slice == tensor.slice)
    }
    #expect(resolved["w/part_2"]?.slice == TensorSlice(starts: [32, 0], counts: [16, 32]))
    for name in ["w", "idle", "a", ""] as [Name] { #expect(resolved[name] == nil) }
  }

  // MARK: In one call

  @Test func `one call opens and resolves a path, and its result holds the lease`() throws {
    let client = Client(socket: daemon.socketPath, label: "one call")
    let observer = Client(socket: daemon.socketPath)
    let (map, variables) = Fixture.whole("a", [64, 32])
    var resolved: Resolved? = try client.resolve(bundle.prefix, assigning: map, to: variables)
    let mine = try #require(try observer.status().clients.first { $0.label == "one call" })
    // Hello is the other.
    #expect(mine.callCount == 2)
    #expect(mine.leaseCount == 1)
    #expect(resolved?.checkpoint.generation == checkpoint.generation)
    #expect(resolved?.checkpoint.path == checkpoint.path)
    #expect(try resolved?.checkpoint.list().count == 5)
    let tensor = try #require(resolved?.tensors.first)
    #expect(tensor.array == Fixture.floats(2048))
    resolved = nil
    #expect(try client.status().leaseCount == 1)
    #expect(tensor.array == Fixture.floats(2048))
  }

  @Test func `the status shows a checkpoint's absolute path`() throws {
    let here = FileManager.default.currentDirectoryPath
    let up = String(repeating: "../", count: here.split(separator: "/").count)
    let path = up + bundle.prefix.dropFirst()
    let other = try RunningDaemon()
    let relative = try Client(socket: other.socketPath).open(path)
    #expect(relative.path == path)
    let status = try Client(socket: other.socketPath).status()
    #expect(status.checkpoints.map(\.label) == ["\(here)/\(path)"])
  }

  @Test func `a failed call that opened and resolved keeps no lease`() throws {
    let client = Client(socket: daemon.socketPath)
    let (map, variables) = Fixture.whole("gone", [4])
    for _ in 0..<3 {
      let error = #expect(throws: WarmstartError.self) {
        try client.resolve(bundle.prefix, assigning: map, to: variables)
      }
      #expect(error?.reason == .tensorNotFound)
    }
    let error = #expect(throws: WarmstartError.self) {
      try client.resolve(bundle.prefix + "-9", assigning: map, to: variables)
    }
    #expect(error?.reason == .checkpointNotFound)
    #expect(try client.status().leaseCount == 1)
  }

  @Test func `a checkpoint that one call opened is resolved again by its handle`() throws {
    let client = Client(socket: daemon.socketPath)
    let (map, variables) = Fixture.whole("odd", [4])
    let first = try client.resolve(bundle.prefix, assigning: map, to: variables)
    let again = try first.checkpoint.resolve(assigning: map, to: variables)
    #expect(again.tensors[0].array == Fixture.floats(4))
    #expect(try client.status().leaseCount == 2)
    #expect(try counter("indexes_parsed", client) == 1)
  }

  // MARK: Paths

  @Test func `a directory, a prefix and an index file are the same checkpoint`() throws {
    let client = Client(socket: daemon.socketPath)
    let directory = daemon.directory.path(percentEncoded: false)
    try "model_checkpoint_path: \"model\"\n".write(
      toFile: directory + "/checkpoint", atomically: true, encoding: .utf8)
    let paths = [bundle.prefix, bundle.index, directory]
    let opened = try paths.map { try client.open($0) }
    #expect(Set(opened.map(\.generation)) == [checkpoint.generation])
    #expect(opened.map(\.format) == [.v2, .v2, .v2])
    let error = #expect(throws: WarmstartError.self) { try client.open(bundle.prefix + "-9") }
    #expect(error?.reason == .checkpointNotFound)
    #expect(error?.code == .notFound)
  }

  // MARK: Large ones

  @Test func `200 shards are attached before the call`() throws {
    var writer = BundleWriter()
    for shard in 0..<200 {
      writer.add(.init("t\(shard)"), dtype: 1, [1], [UInt8(shard), 0, 0, 0], in: shard)
    }
    let directory = daemon.directory.path(percentEncoded: false)
    let bundle = try writer.write(to: directory, named: "wide")
    let client = Client(socket: daemon.socketPath)
    let wide = try client.open(bundle.prefix)
    #expect(wide.tensorCount == 200)
    let variables = (0..<200).map { Variable(Name("t\($0)"), dtype: .float32, shape: [1]) }
    let resolved = try wide.resolve(assigning: ["/": "/"], to: variables)
    #expect(resolved.tensors.map { $0.array[0] } == (0..<200).map { UInt8($0) })
    #expect(
      try wide.resolve(assigning: ["/": "/"], to: variables, options: .sealedOnly).tensors.count
        == 200)
    #expect(
      try client.resolve(bundle.prefix, assigning: ["/": "/"], to: variables).tensors.count == 200)
  }

  @Test func `only a small tensor at the end of a 100 GiB file is read`() throws {
    var writer = BundleWriter()
    writer.add("near", dtype: 1, [4], floatsAt(0))
    writer.skip(100 << 30)
    writer.add("far", dtype: 1, [4], floatsAt(9))
    let directory = daemon.directory.path(percentEncoded: false)
    let bundle = try writer.write(to: directory, named: "far")
    let far = try Client(socket: daemon.socketPath).open(bundle.prefix)
    for sealed in [false, true] {
      var options = Resolved.Options()
      options.sealed = sealed
      for (name, bytes) in [("far", floatsAt(9)), ("near", floatsAt(0))] as [(Name, [UInt8])] {
        let (map, variables) = Fixture.whole(name, [4])
        let tensor = try far.resolve(assigning: map, to: variables, options: options).tensors[0]
        #expect(tensor.region.kind == (sealed ? .arena : .file))
        #expect(tensor.array == bytes)
      }
    }
    // Both at once are one mapping of 100 GiB of addresses, not of memory.
    let variables = [
      Variable("far", dtype: .float32, shape: [4]), Variable("near", dtype: .float32, shape: [4]),
    ]
    let both = try far.resolve(assigning: ["/": "/"], to: variables)
    #expect(both.tensors.map(\.array) == [floatsAt(9), floatsAt(0)])
  }

  private func floatsAt(_ start: Int) -> [UInt8] {
    Array(Fixture.floats(start + 4).dropFirst(start * 4))
  }
}
