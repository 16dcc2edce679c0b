import Foundation
import Testing
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

/// The objects of TF2 checkpoints, and their variables by name, through a daemon.
@Suite struct ObjectTests {
  private typealias Object = ObjectGraphWriter.Object

  private let daemon: RunningDaemon
  private let client: Client

  init() throws {
    daemon = try RunningDaemon()
    client = Client(socket: daemon.socketPath)
  }

  /// Writes a checkpoint with a graph and these tensors of two floats each, and opens it.
  private func open(_ graph: [UInt8], _ tensors: [String] = []) throws -> Checkpoint {
    var writer = BundleWriter()
    writer.addGraph(graph)
    for (number, name) in tensors.enumerated() {
      writer.add(.init(name), dtype: 1, [2], Array(Fixture.floats(2 * number + 2).suffix(8)))
    }
    return try client.open(
      writer.write(to: daemon.directory.path(percentEncoded: false)).prefix)
  }

  private static let value = "/.ATTRIBUTES/VARIABLE_VALUE"
  private static var byName: Resolved.Options {
    var options = Resolved.Options()
    options.objectNames = true
    return options
  }

  private func refusal(_ body: () throws -> Void) -> WarmstartError? {
    #expect(throws: WarmstartError.self, performing: body)
  }

  // MARK: What TensorFlow wrote

  private static let golden = [
    "tf2_keras/k", "tf2_manager/ckpt-4", "tf2_object/ckpt-1", "tf2_object_write/w", "tf2_slots/s",
  ]

  @Test(arguments: golden)
  func `paths are those of TensorFlow's keys, and every tensor belongs to an object`(
    _ path: String
  ) throws {
    let checkpoint = try client.open(Golden.path(path))
    let objects = try checkpoint.objects()
    #expect(objects.first?.path == "")
    var known: [Name: Checkpoint.StoredTensor] = [:]
    for tensor in try checkpoint.list() { known[tensor.name] = tensor }
    #expect(known.removeValue(forKey: "_CHECKPOINTABLE_OBJECT_GRAPH") != nil)
    for object in objects {
      for attribute in object.attributes {
        let path = try #require(object.path)
        #expect(attribute.key.description == "\(path)/.ATTRIBUTES/\(attribute.name)")
        let found = known.removeValue(forKey: attribute.key)
        let tensor = try #require(found)
        #expect(attribute.dtype == tensor.dtype)
        #expect(attribute.shape == tensor.shape)
      }
      #expect(object.children.allSatisfy { objects.indices.contains($0.object) })
    }
    #expect(known.isEmpty)
  }

  @Test func `a hash table is listed as the two tensors that it is stored as`() throws {
    let table = "words/.ATTRIBUTES/table"
    let graph = ObjectGraphWriter([
      Object().child("words", 1).child("gone", 2), Object().attribute("table", "", table),
      Object().attribute("table", "", "gone/.ATTRIBUTES/table"),
    ])
    let objects = try open(graph.bytes, ["\(table)-keys", "\(table)-values"]).objects()
    #expect(objects[1].attributes.map(\.name) == ["table-keys", "table-values"])
    #expect(
      objects[1].attributes.map(\.key) == ["\(table)-keys", "\(table)-values"].map { Name($0) })
    #expect(objects[1].attributes.allSatisfy { $0.dtype == .float32 && $0.shape == [2] })
    #expect(objects[2].attributes.map(\.name) == ["table"])
    #expect(objects[2].attributes.first?.dtype == nil)
  }

  @Test func `an optimizer's slot variables are listed with their variables`() throws {
    let objects = try client.open(Golden.path("tf2_slots/s")).objects()
    let optimizer = try #require(objects.first { !$0.slotVariables.isEmpty })
    #expect(optimizer.path == "optimizer")
    let slot = try #require(optimizer.slotVariables.first)
    #expect(slot.name == "momentum")
    // TensorFlow orders children by their names.
    #expect(objects[0].children.map(\.name) == ["again", "optimizer", "weights"])
    #expect(objects[slot.variable].path == "again")
    #expect(objects[slot.object].path == "again/.OPTIMIZER_SLOT/optimizer/momentum")
    #expect(objects[slot.object].attributes.map(\.fullName) == ["layer/weights/Momentum"])
  }

  @Test func `variables of a Keras model are found by name as well as by key`() throws {
    let checkpoint = try client.open(Golden.path("tf2_keras/k"))
    let kernel = Variable("m/kernel", dtype: .float32, shape: [4, 3])
    let bias = Variable("m/bias", dtype: .float32, shape: [3])
    let named = try checkpoint.resolve(
      assigning: ["sequential/d1/": "m/"], to: [kernel, bias], options: Self.byName)
    #expect(named.tensors.count == 2)
    let keyed = try checkpoint.resolve(
      assigning: [
        "optimizer/_trainable_variables/0/.ATTRIBUTES/VARIABLE_VALUE": "m/kernel",
        "optimizer/_trainable_variables/1/.ATTRIBUTES/VARIABLE_VALUE": "m/bias",
      ], to: [kernel, bias])
    for name in [kernel.name, bias.name] {
      let first = try #require(named[name])
      let second = try #require(keyed[name])
      #expect(first.array == second.array)
      #expect(first.tensor == second.tensor)
    }
    // The same question again, which the daemon remembers; and without the names, which is another.
    let again = try checkpoint.resolve(
      assigning: ["sequential/d1/": "m/"], to: [kernel, bias], options: Self.byName)
    #expect(again.tensors.map(\.tensor) == named.tensors.map(\.tensor))
    let error = refusal {
      _ = try checkpoint.resolve(assigning: ["sequential/d1/": "m/"], to: [kernel, bias])
    }
    #expect(error?.reason == .tensorNotFound)
  }

  @Test func `a partition takes its part of a tensor that was found by name`() throws {
    let variables = try Partitioner.fixedSize(shards: 2).partitions(
      of: "m", dtype: .float32, shape: [4, 3])
    let resolved = try client.resolve(
      Golden.path("tf2_keras/k"), assigning: ["sequential/d1/kernel": "m"], to: variables,
      options: Self.byName)
    let whole = try client.resolve(
      Golden.path("tf2_keras/k"), assigning: ["sequential/d1/kernel": "w"],
      to: [Variable("w", dtype: .float32, shape: [4, 3])], options: Self.byName)
    #expect(resolved.tensors.flatMap(\.array) == whole["w"]?.array)
  }

  @Test func `a name that several unnamed variables share is refused`() throws {
    let checkpoint = try client.open(Golden.path("tf2_object/ckpt-1"))
    let error = refusal {
      _ = try checkpoint.resolve(
        assigning: ["Variable": "v"], to: [Variable("v", dtype: .float32, shape: [])],
        options: Self.byName)
    }
    #expect(error?.reason == .ambiguousName)
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("d/a.Sb/.ATTRIBUTES/VARIABLE_VALUE") == true)
    // A name with one tensor is still found.
    let kernel = Variable("v", dtype: .float32, shape: [4, 2])
    let resolved = try checkpoint.resolve(
      assigning: ["dense/kernel": "v"], to: [kernel], options: Self.byName)
    #expect(resolved["v"]?.tensor == "net/w/.ATTRIBUTES/VARIABLE_VALUE")
  }

  // MARK: The command

  /// Runs `warmstartctl` on this test's daemon; returns how it ended and all that it said.
  private func run(_ arguments: [String]) throws -> (status: Int32, said: String) {
    let process = Process()
    process.executableURL = RunningDaemon.products.appending(path: "warmstartctl")
    process.arguments = ["--socket", daemon.socketPath] + arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
  }

  @Test func `warmstartctl lists objects for people`() throws {
    let key = "again/.OPTIMIZER_SLOT/optimizer/momentum"
    let said = try run(["list", Golden.path("tf2_slots/s"), "--objects"])
    #expect(said.status == 0)
    #expect(
      said.said == """
        (root)
          weights  = again
        again
          VARIABLE_VALUE  layer/weights  float32 [2]  again/.ATTRIBUTES/VARIABLE_VALUE
        optimizer
          momentum  of again  = \(key)
        \(key)
          VARIABLE_VALUE  layer/weights/Momentum  float32 [2]  \(key)/.ATTRIBUTES/VARIABLE_VALUE

        """)
  }

  @Test func `warmstartctl lists objects for scripts`() throws {
    let graph = ObjectGraphWriter([
      Object().child("a", 1), Object().slot("m", of: 1, 2),
      Object().attribute("table", "", "t"),
    ])
    let checkpoint = try open(graph.bytes)
    let said = try run(["list", checkpoint.path, "--objects", "--json"])
    #expect(said.status == 0)
    let objects = [
      #"{"path":"","children":[{"name":"a","object":1}],"attributes":[],"slot_variables":[]}"#,
      #"{"path":"a","children":[],"attributes":[],"#
        + #""slot_variables":[{"name":"m","variable":1,"object":2}]}"#,
      #"{"path":"a/.OPTIMIZER_SLOT/a/m","children":[],"#
        + #""attributes":[{"name":"table","full_name":"","key":"t","dtype":null,"shape":null}],"#
        + #""slot_variables":[]}"#,
    ]
    #expect(
      said.said == "{\"checkpoint\":\"\(checkpoint.path)\",\"format\":\"v2\",\"objects\":["
        + objects.joined(separator: ",") + "]}\n")
  }

  @Test func `warmstartctl resolves by names only with the option`() throws {
    let file = daemon.directory.appending(path: "variables.json").path(percentEncoded: false)
    try #"{"variables": [{"name": "w", "dtype": "float32", "shape": [2]}]}"#.write(
      toFile: file, atomically: false, encoding: .utf8)
    let arguments = [
      "resolve", Golden.path("tf2_slots/s"), "--assign", "layer/weights=w", "--variables", file,
    ]
    let named = try run(arguments + ["--object-names"])
    #expect(named.status == 0)
    #expect(named.said.hasPrefix("w  ← again/.ATTRIBUTES/VARIABLE_VALUE  float32  [2]"))
    let keyed = try run(arguments)
    #expect(keyed.status == 1)
    #expect(keyed.said.hasPrefix("warmstartctl: NOT_FOUND (TENSOR_NOT_FOUND): "))
    let path = Golden.path("v2_tiles/t")
    let nameless = try run(["list", path, "--objects"])
    #expect(nameless.status == 1)
    #expect(
      nameless.said
        == "warmstartctl: NOT_FOUND (TENSOR_NOT_FOUND): \(path): tensor "
        + "_CHECKPOINTABLE_OBJECT_GRAPH is not found: this is a name-based checkpoint, not one "
        + "that TF2 saved of objects\n")
  }

  // MARK: What has no graph, or none that is one

  @Test func `a checkpoint that was saved by names has no objects`() throws {
    let checkpoint = try client.open(Golden.path("v2_tiles/t"))
    for error in [
      refusal { _ = try checkpoint.objects() },
      refusal {
        _ = try checkpoint.resolve(
          assigning: ["x": "v"], to: [Variable("v", dtype: .float32, shape: [5, 4])],
          options: Self.byName)
      },
    ] {
      #expect(error?.reason == .tensorNotFound)
      #expect(error?.code == .notFound)
      #expect(error?.problems.first?.tensor == "_CHECKPOINTABLE_OBJECT_GRAPH")
      #expect(error?.message.contains("name-based checkpoint") == true)
    }
  }

  private static let hostile: [String: [UInt8]] = [
    "text": Array("not a protobuf".utf8),
    "half an object": [0x0a, 9, 0x0a],
    "a child that does not exist": ObjectGraphWriter([Object().child("a", 7)]).bytes,
    "a child below 0": ObjectGraphWriter([Object().child("a", -1)]).bytes,
    "a slot that does not exist": ObjectGraphWriter([Object().slot("m", of: 0, 1)]).bytes,
    "a name of a megabyte": ObjectGraphWriter([
      Object().child(String(repeating: "n", count: 1 << 20), 0)
    ]).bytes,
    "children of nothing": ObjectGraphWriter([
      (0..<1 << 17).reduce(Object()) { object, _ in object.adding(1, []) }
    ]).bytes,
  ]

  @Test(arguments: hostile.keys.sorted())
  func `bytes that are no graph are refused, and the tensors can still be read`(
    _ name: String
  ) throws {
    let checkpoint = try open(try #require(Self.hostile[name]), ["a"])
    for error in [
      refusal { _ = try checkpoint.objects() },
      refusal {
        _ = try checkpoint.resolve(
          assigning: ["a": "v"], to: [Variable("v", dtype: .float32, shape: [2])],
          options: Self.byName)
      },
    ] {
      #expect(error?.reason == .corrupt)
      #expect(
        error?.message.contains("_CHECKPOINTABLE_OBJECT_GRAPH is not a valid object graph") == true)
    }
    #expect(
      try checkpoint.resolve(
        assigning: ["a": "v"], to: [Variable("v", dtype: .float32, shape: [2])]
      ).tensors.count == 1)
  }

  @Test func `many names of a tensor of many axes are refused for the memory they would take`()
    throws
  {
    var object = Object()
    for number in 0..<2000 { object = object.attribute("", "\(number)", "k") }
    var writer = BundleWriter()
    writer.addGraph(ObjectGraphWriter([object]).bytes)
    writer.add("k", dtype: 1, Array(repeating: 1, count: 254), Fixture.floats(1))
    let directory = daemon.directory.path(percentEncoded: false)
    let checkpoint = try client.open(writer.write(to: directory).prefix)
    let error = refusal { _ = try checkpoint.objects() }
    #expect(error?.reason == .corrupt)
    #expect(error?.message.contains("axes in all") == true)
  }

  @Test func `a graph that is not one string is refused`() throws {
    var writer = BundleWriter()
    writer.add(ObjectGraphWriter.key, dtype: 1, [], Fixture.floats(1))
    let directory = daemon.directory.path(percentEncoded: false)
    let float = try client.open(writer.write(to: directory, named: "float").prefix)
    var list = BundleWriter()
    list.add(ObjectGraphWriter.key, strings: [[], []], [2])
    let strings = try client.open(list.write(to: directory, named: "list").prefix)
    for checkpoint in [float, strings] {
      let error = refusal { _ = try checkpoint.objects() }
      #expect(error?.reason == .corrupt)
      #expect(error?.message.contains("expected one string") == true)
    }
  }

  @Test func `a damaged graph is refused for its checksum`() throws {
    var writer = BundleWriter()
    writer.addGraph(ObjectGraphWriter([Object()]).bytes)
    writer.change(ObjectGraphWriter.key) { $0.checksum ^= 1 }
    let bundle = try writer.write(to: daemon.directory.path(percentEncoded: false))
    let checkpoint = try client.open(bundle.prefix)
    for _ in 0..<2 {
      #expect(refusal { _ = try checkpoint.objects() }?.reason == .checksumMismatch)
    }
  }

  @Test func `a graph without objects lists none and names nothing`() throws {
    let checkpoint = try open([], ["a"])
    #expect(try checkpoint.objects() == [])
    let error = refusal {
      _ = try checkpoint.resolve(
        assigning: ["a": "v"], to: [Variable("v", dtype: .float32, shape: [2])],
        options: Self.byName)
    }
    #expect(error?.reason == .tensorNotFound)
  }

  @Test func `circles, shared objects and keys without tensors are listed`() throws {
    let graph = ObjectGraphWriter([
      Object().child("self", 0).child("a", 1).child("b", 1),
      Object().child("up", 0).variable("v", at: "a").attribute("table", "", "a/table"),
      Object().variable("lost", at: "lost"),
    ])
    let objects = try open(graph.bytes, ["a" + Self.value]).objects()
    #expect(objects.map(\.path) == ["", "a", nil])
    #expect(objects[0].children.map(\.name) == ["self", "a", "b"])
    #expect(objects[0].children.map(\.isOnPath) == [false, true, false])
    #expect(objects[1].attributes.map(\.dtype) == [.float32, nil])
    #expect(objects[1].attributes.map(\.shape) == [[2], nil])
    #expect(objects[2].attributes.map(\.key) == [Name("lost" + Self.value)])
  }

  @Test func `a graph sent in many replies arrives whole`() throws {
    let count = 30_000
    var root = Object()
    var variables: [Object] = []
    for number in 0..<count {
      root.addChild("variable \(number)", number + 1)
      root.addSlot("m\(number)", of: number + 1, 0)
      variables.append(Object().variable("v/\(number)", at: "variable \(number)"))
    }
    let checkpoint = try open(ObjectGraphWriter([root] + variables).bytes)
    let objects = try checkpoint.objects()
    #expect(objects.count == count + 1)
    #expect(objects[0].children.map(\.object) == Array(1...count))
    #expect(objects[0].slotVariables.map(\.variable) == Array(1...count))
    #expect(objects[count].attributes.map(\.fullName) == [Name("v/\(count - 1)")])
    #expect(objects[count].path == Name("variable \(count - 1)"))
  }
}
