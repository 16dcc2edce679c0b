import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// Variables of one full name in an object graph are compared once.
@Suite(.serialized) struct SameNameTests {
  /// Changes eight bytes but not their CRC-32C, by the bits of its polynomial.
  private static func colliding(_ bytes: [UInt8]) -> [UInt8] {
    let pattern: [UInt8] = [0xf1, 0x76, 0xec, 0x05, 0x01]
    return bytes.enumerated().map { $0 < pattern.count ? $1 ^ pattern[$0] : $1 }
  }

  /// A checkpoint of two variables, both called `w`, under the keys `a` and `b`.
  private static func warm(_ add: (inout BundleWriter) -> Void) throws -> Warm {
    var writer = BundleWriter()
    add(&writer)
    let objects: [ObjectGraphWriter.Object] = [
      .init().child("a", 1).child("b", 2),
      .init().attribute("VARIABLE_VALUE", "w", "a"),
      .init().attribute("VARIABLE_VALUE", "w", "b"),
    ]
    writer.addGraph(ObjectGraphWriter(objects).bytes)
    return try Warm(writer)
  }

  private static let map = AssignmentMap([.init("w", .variable("v"))])

  /// Resolves `w` as the daemon does; returns the tensor that is assigned.
  private func resolve(
    _ warm: Warm, _ lease: Lease, _ dtype: DataType = .float32, _ shape: Shape = [4],
    for caller: Caller = .patient
  ) throws -> Name {
    let objects = try lease.objects(from: warm.files(), for: caller)
    let variables = VariableList([Variable("v", dtype: dtype, shape: shape, isInStore: false)])
    while true {
      let (resolution, uncompared) = try Resolution.resolve(
        Self.map, variables: variables, in: objects.names)
      if uncompared.isEmpty {
        return lease.resident.checkpoint.catalog.name(resolution.assignments[0].tensor)
      }
      try lease.compare(uncompared, of: objects, from: warm.files(), for: caller)
    }
  }

  private func resolve(
    _ dtype: DataType = .float32, _ shape: Shape = [4], _ add: (inout BundleWriter) -> Void
  ) throws -> Name {
    let warm = try Self.warm(add)
    return try resolve(
      warm, try warm.open(Store(share: 1 << 30, lingerMilliseconds: 0)), dtype, shape)
  }

  private func expectAmbiguous(
    _ dtype: DataType = .float32, _ shape: Shape = [4], _ add: (inout BundleWriter) -> Void
  ) {
    let error = #expect(throws: Problems.self) { try resolve(dtype, shape, add) }
    #expect(error?.first.reason == .ambiguousName)
    #expect(error?.first.message.hasSuffix("stands for 2 tensors that differ: a, b") == true)
  }

  @Test func `equal values of one name are one value`() throws {
    let found = try resolve {
      $0.add("a", dtype: 1, [4], floats(4))
      $0.add("b", dtype: 1, [4], floats(4))
    }
    #expect(found == "a")
  }

  @Test func `values are compared to their last byte, in pieces`() throws {
    let count = 3 << 20
    var bytes = [UInt8](repeating: 7, count: count)
    let first = bytes
    #expect(
      try resolve(.uint8, [count]) {
        $0.add("a", dtype: 4, [count], first)
        $0.add("b", dtype: 4, [count], first)
      } == "a")
    bytes.replaceSubrange(count - 8..<count, with: Self.colliding(Array(bytes.suffix(8))))
    expectAmbiguous(.uint8, [count]) {
      $0.add("a", dtype: 4, [count], first)
      $0.add("b", dtype: 4, [count], bytes)
    }
  }

  @Test func `values that differ in bytes, shape or dtype make a name ambiguous`() {
    expectAmbiguous {
      $0.add("a", dtype: 1, [4], floats(4))
      $0.add("b", dtype: 1, [4], floats(4).reversed())
    }
    expectAmbiguous {
      $0.add("a", dtype: 1, [4], floats(4))
      $0.add("b", dtype: 1, [2, 2], floats(4))
    }
    expectAmbiguous {
      $0.add("a", dtype: 1, [4], floats(4))
      $0.add("b", dtype: 3, [4], floats(4))
    }
  }

  @Test func `equal checksums alone do not make values equal`() throws {
    let changed = Self.colliding(floats(4))
    let warm = try Self.warm {
      $0.add("a", dtype: 1, [4], floats(4))
      $0.add("b", dtype: 1, [4], changed)
    }
    #expect(warm.bundle.entries["a"]?.checksum == warm.bundle.entries["b"]?.checksum)
    let lease = try warm.open(Store(share: 1 << 30, lingerMilliseconds: 0))
    let error = #expect(throws: Problems.self) { try resolve(warm, lease) }
    #expect(error?.first.reason == .ambiguousName)
  }

  @Test func `a damaged copy is reported as damaged`() throws {
    let error = #expect(throws: Problem.self) {
      try resolve { writer in
        writer.add("a", dtype: 1, [4], floats(4))
        writer.add("b", dtype: 1, [4], floats(4).reversed())
        var checksum: UInt32 = 0
        writer.change("a") { checksum = $0.checksum }
        writer.change("b") { $0.checksum = checksum }
      }
    }
    #expect(error?.reason == .checksumMismatch)
    #expect(error?.tensor == "b")
  }

  @Test func `a copy outside its file is refused before anything is read`() throws {
    for offset in [Int.max, -4, 1 << 40] {
      let error = #expect(throws: Problem.self) {
        try resolve { writer in
          writer.add("a", dtype: 1, [4], floats(4))
          writer.add("b", dtype: 1, [4], floats(4))
          writer.change("b") { $0.offset = offset }
        }
      }
      #expect(error?.reason == .truncated)
      #expect(error?.tensor == "b")
    }
  }

  @Test func `strings are compared with their lengths`() throws {
    #expect(
      try resolve(.string, [2]) {
        $0.add("a", strings: [[1, 2], [3]], [2])
        $0.add("b", strings: [[1, 2], [3]], [2])
      } == "a")
    expectAmbiguous(.string, [2]) {
      $0.add("a", strings: [[1, 2], [3]], [2])
      $0.add("b", strings: [[1], [2, 3]], [2])
    }
  }

  @Test func `tensors in slices are compared slice by slice, if the slices are the same`() throws {
    let halves: [[BundleWriter.Extent]] = [[.init(0, 2)], [.init(2, 2)]]
    #expect(
      try resolve {
        $0.add("a", dtype: 1, [4], floats(4), slices: halves)
        $0.add("b", dtype: 1, [4], floats(4), slices: halves, in: [1, 0])
      } == "a")
    expectAmbiguous {
      $0.add("a", dtype: 1, [4], floats(4), slices: halves)
      $0.add("b", dtype: 1, [4], floats(2) + floats(2), slices: halves)
    }
    expectAmbiguous {
      $0.add("a", dtype: 1, [4], floats(4), slices: halves)
      $0.add("b", dtype: 1, [4], floats(4))
    }
  }

  @Test func `ten callers have a name compared once, and the result is kept`() throws {
    let store = Store(share: 1 << 30, lingerMilliseconds: 60_000)
    let warm = try Self.warm {
      $0.add("a", dtype: 1, [4], floats(4))
      $0.add("b", dtype: 1, [4], floats(4))
    }
    let crew = try Crew(10) { _ in outcome { try resolve(warm, warm.open(store)) } }
    #expect(try crew.outcomes().allSatisfy { try $0.get() == "a" })
    let objects = try warm.open(store).objects(from: warm.files(), for: .patient)
    #expect(objects.names.uncomparedTensors(of: "w").isEmpty)
  }

  @Test func `after a caller's deadline the next caller continues the comparison`() throws {
    let store = Store(share: 1 << 30, lingerMilliseconds: 0)
    let warm = try Self.warm {
      $0.add("a", dtype: 1, [4], floats(4))
      $0.add("b", dtype: 1, [4], floats(4))
    }
    let lease = try warm.open(store)
    let objects = try lease.objects(from: warm.files(), for: .patient)
    let late = Caller(nil, until: .after(milliseconds: 0))
    let error = #expect(throws: Problem.self) {
      try lease.compare(["w"], of: objects, from: warm.files(), for: late)
    }
    #expect(error?.reason == .deadline)
    #expect(objects.names.uncomparedTensors(of: "w").count == 2)
    #expect(try resolve(warm, lease) == "a")
  }

  @Test func `a long comparison delays no other name, and ends with its caller`() throws {
    var writer = BundleWriter()
    let keys = ["a", "b", "c", "d"]
    for key in keys.prefix(2) { writer.add(.init(key), dtype: 1, [4], floats(4)) }
    for key in keys.suffix(2) {
      // A hole that takes minutes to read.
      writer.add(.init(key), dtype: 4, [1], [0])
      writer.change(.init(key)) { entry in
        entry.shape = [1 << 38]
        entry.byteCount = 1 << 38
      }
    }
    let names = ["w", "w", "huge", "huge"]
    let objects = zip(keys, names).map { key, name in
      ObjectGraphWriter.Object().attribute("VARIABLE_VALUE", name, key)
    }
    let root = keys.enumerated().reduce(ObjectGraphWriter.Object()) {
      $0.child($1.element, $1.offset + 1)
    }
    writer.addGraph(ObjectGraphWriter([root] + objects).bytes)
    let warm = try Warm(writer)
    try BundleFile.truncate(warm.bundle.shards[0], to: 1 << 39)
    let lease = try warm.open(Store(share: 1 << 30, lingerMilliseconds: 0))
    let graph = try lease.objects(from: warm.files(), for: .patient)
    let (files, ended) = (try warm.files(), Monitor<Reason?>(nil))
    try Thread.detach {
      let impatient = Caller(nil, until: .after(milliseconds: 1500))
      var reason = Reason.system
      do throws(Problem) {
        try lease.compare(["huge", "w"], of: graph, from: files, for: impatient)
      } catch {
        reason = error.reason
      }
      ended.notifying { $0 = reason }
    }
    rest(milliseconds: 100)
    try lease.compare(["w"], of: graph, from: warm.files(), for: .patient)
    #expect(graph.names.uncomparedTensors(of: "w").isEmpty)
    #expect(ended.wait { $0 } == .deadline)
    #expect(graph.names.uncomparedTensors(of: "huge").count == 2)
  }

  @Test func `a name that the map does not use is not compared`() throws {
    let warm = try Self.warm {
      $0.add("a", dtype: 1, [4], floats(4))
      $0.add("b", dtype: 1, [4], floats(4))
    }
    let lease = try warm.open(Store(share: 1 << 30, lingerMilliseconds: 0))
    let objects = try lease.objects(from: warm.files(), for: .patient)
    let (_, uncompared) = try Resolution.resolve(
      AssignmentMap([]), variables: VariableList([]), in: objects.names, .lenient)
    #expect(uncompared.isEmpty)
    #expect(objects.names.uncomparedTensors(of: "w").count == 2)
  }
}
