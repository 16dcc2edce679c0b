import Testing
import WarmstartCheckpoint
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartTestSupport

/// Which messages are object graphs.
@Suite struct ObjectGraphTests {
  private typealias Object = ObjectGraphWriter.Object

  private func parse(_ objects: [Object]) throws(MessageError) -> ObjectGraph {
    try parse(ObjectGraphWriter(objects).bytes)
  }

  private func parse(_ bytes: [UInt8]) throws(MessageError) -> ObjectGraph {
    try ObjectGraph(parsing: bytes.span)
  }

  @Test func `a graph is parsed into rows in the order of its objects`() throws {
    let graph = try parse([
      Object().child("v", 1).child("opt", 2), Object().variable("net/v", at: "v"),
      Object().child("root", 0).slot("momentum", of: 1, 3), Object().attribute("", "", "k"),
    ])
    #expect(graph.count == 4)
    #expect(graph.children.objects == [0, 0, 2])
    #expect(graph.children.children == [1, 2, 0])
    #expect((0..<3).map { graph.children.names[$0] } == ["v", "opt", "root"])
    #expect(graph.attributes.objects == [1, 3])
    #expect((0..<2).map { graph.attributes.names[$0] } == ["VARIABLE_VALUE", ""])
    #expect((0..<2).map { graph.attributes.fullNames[$0] } == ["net/v", ""])
    #expect(
      (0..<2).map { graph.attributes.keys[$0] } == ["v/.ATTRIBUTES/VARIABLE_VALUE", "k"])
    #expect(graph.slotVariables.objects == [2])
    #expect(graph.slotVariables.variables == [1])
    #expect(graph.slotVariables.slots == [3])
    #expect(graph.slotVariables.names[0] == "momentum")
    #expect(graph.fault == nil)
  }

  @Test func `a graph without objects is valid`() throws {
    #expect(try parse([] as [UInt8]) == ObjectGraph())
  }

  @Test func `unknown fields are ignored`() throws {
    let saver = Proto.message(1, Array("saver".utf8))
    let object = Object().child("a", 0).adding(4, saver).adding(5, [8, 1])
    let bytes = ObjectGraphWriter([object]).bytes + Proto.number(9, 9)
    let graph = try parse(bytes)
    #expect(graph.count == 1)
    #expect(graph.children.children == [0])
  }

  @Test func `known fields of another wire type are ignored`() throws {
    let object = Proto.number(1, 7) + Proto.message(1, Proto.message(1, [9]))
    let graph = try parse(Proto.number(1, 5) + Proto.message(1, object))
    #expect(graph.count == 1)
    #expect(graph.children.children == [0])
  }

  @Test func `the last of a field that comes twice counts`() throws {
    let child = Proto.number(1, 2) + Proto.message(2, [0x61]) + Proto.number(1, 0x1_0000_0003)
    let graph = try parse(Proto.message(1, Proto.message(1, child + Proto.message(2, [0x62]))))
    #expect(graph.children.children == [3])
    #expect(graph.children.names[0] == "b")
  }

  @Test func `names are bytes, NUL and what is not UTF-8 included`() throws {
    let child: [UInt8] = [0x12, 3, 0xff, 0, 0x41]
    let graph = try parse([Object().adding(1, child)])
    #expect(graph.children.names[0] == Name([0xff, 0, 0x41]))
  }

  @Test func `a negative object is malformed`() throws {
    #expect(try parse([Object().child("a", -1)]).fault == "it refers to object -1, but has 1")
  }

  @Test(arguments: [
    Array("not a protobuf".utf8), [0x0a, 5], [0x0a, 2, 0x0a, 9], [0x0a], [0x0b],
    [0x0a, 4, 0x0a, 2, 0x12, 9], [0, 0], [0xff],
  ])
  func `bytes that do not parse are malformed`(_ bytes: [UInt8]) {
    #expect(throws: MessageError.self) { try parse(bytes) }
  }

  @Test func `a name that is too long is malformed`() {
    let name = String(repeating: "n", count: ObjectGraph.maximumNameByteCount + 1)
    for object in [
      Object().child(name, 0), Object().attribute(name, "", ""), Object().attribute("", name, ""),
      Object().attribute("", "", name), Object().slot(name, of: 0, 0),
    ] {
      #expect(throws: MessageError.self) { try parse([object]) }
    }
  }

  /// Two bytes each, of which a row has 16 to 28.
  @Test(arguments: [1, 2, 3])
  func `empty rows are refused for the memory they would take`(_ field: Int) {
    var object = Object()
    for _ in 0..<1 << 16 { object = object.adding(field, []) }
    let bytes = ObjectGraphWriter([object]).bytes
    #expect(
      throws: MessageError.tooLarge(limit: ObjectGraph.memoryByteCount(ofMessage: bytes.count))
    ) {
      try parse(bytes)
    }
  }

  @Test func `more objects than the limit are malformed`() {
    var bytes: [UInt8] = [0x0a, 0]
    while bytes.count <= ObjectGraph.maximumCount * 2 { bytes += bytes }
    #expect(throws: MessageError.self) { try parse(bytes) }
  }

  @Test func `an honest graph of a hundred thousand variables is accepted`() throws {
    let count = 100_000
    var root = Object().child("optimizer", count + 1)
    var optimizer = Object()
    var variables: [Object] = []
    for number in 0..<count {
      root.addChild("\(number)", number + 1)
      optimizer.addSlot("m", of: number + 1, number + 1)
      variables.append(Object().variable("Variable", at: "\(number)"))
    }
    let graph = try parse([root] + variables + [optimizer])
    #expect(graph.count == count + 2)
    #expect(graph.fault == nil)
    #expect(graph.attributes.objects.count == count)
  }
}
