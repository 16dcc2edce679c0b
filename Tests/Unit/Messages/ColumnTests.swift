import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel

/// Columns that do not fit together are refused, for every column.
@Suite struct ColumnTests {
  private let scratch = Scratch()

  /// Columns by their fields' numbers: a message of which a test replaces one.
  private typealias Columns = [UInt64: [UInt8]]

  private static func message(_ columns: Columns, _ changes: Columns = [:]) -> [UInt8] {
    columns.merging(changes) { $1 }.sorted { $0.key < $1.key }
      .reduce(RawMessage()) { $0.adding($1.key, $1.value) }.bytes
  }

  private static func words(_ values: Int...) -> [UInt8] { RawMessage.fixed32(values) }
  private static func numbers(_ values: Int...) -> [UInt8] { RawMessage.fixed64(values) }
  private static func names(_ names: String...) -> [UInt8] { RawMessage.names(names) }

  /// Names whose lengths do not add up to their text.
  private static func names(of text: String, _ lengths: Int...) -> [UInt8] {
    RawMessage().adding(1, text).adding(2, RawMessage.fixed32(lengths)).bytes
  }

  private func resolveReply(_ field: UInt64, _ contents: [UInt8]) throws -> ResolveReply {
    let bytes = RawMessage().adding(field, contents).bytes
    return try ResolveReply(unpacking: bytes.rawSpan, scratch)
  }

  private func request(
    map: [UInt8] = message(map), variables: [UInt8] = message(variables), gathers: [UInt8] = [],
    transposes: [UInt8] = []
  ) throws -> ResolveRequest {
    let bytes = RawMessage().adding(1, RawMessage().adding(1, 1).bytes).adding(2, map)
      .adding(3, variables).adding(14, gathers).adding(19, transposes).bytes
    return try ResolveRequest(unpacking: bytes.rawSpan, scratch)
  }

  private func isMalformed(_ body: () throws -> Void) -> Bool {
    do { try body() } catch MessageError.malformed { return true } catch {}
    return false
  }

  // MARK: Handles

  /// A matrix that has strides and was cut out, and a vector that is neither.
  private static let handles: Columns = [
    1: words(0, 1), 2: names("matrix", "v"), 3: words(1, 3), 4: words(2, 1), 5: numbers(2, 3, 4),
    6: words(0, 1), 7: numbers(64, 128), 8: numbers(24, 16), 9: words(0), 10: numbers(40, 4),
    11: words(0), 12: numbers(1, 2),
  ]

  @Test func `handles in columns are read`() throws {
    let handles = try resolveReply(3, Self.message(Self.handles)).handles
    #expect(handles.count == 2)
    #expect(
      handles[0]
        == Handle(
          variable: 0, tensor: "matrix", dtype: .float32, shape: [2, 3], strides: [40, 4],
          region: 0, offset: 64, byteCount: 24, starts: [1, 2]))
    #expect(
      handles[1]
        == Handle(
          variable: 1, tensor: "v", dtype: .int32, shape: [4], region: 1, offset: 128,
          byteCount: 16))
  }

  @Test func `handles may name their strides and cuts in the other order of fields`() throws {
    let columns = Self.handles.sorted { $0.key > $1.key }
      .reduce(RawMessage()) { $0.adding($1.key, $1.value) }
    let handles = try resolveReply(3, columns.bytes).handles
    let usual = try resolveReply(3, Self.message(Self.handles)).handles
    #expect((0..<2).map { handles[$0] } == (0..<2).map { usual[$0] })
  }

  @Test(
    arguments: [
      // Lengths that disagree.
      (1, words(0)), (1, words(0, 1, 2)), (2, names("matrix")), (2, names("matrix", "v", "w")),
      (2, []), (3, words(1)), (4, words(2)), (4, words(2, 1, 0)), (6, words(0)), (6, []),
      (7, numbers(64)), (8, numbers(24, 16, 8)),
      // Names whose lengths do not add up to their text.
      (2, names(of: "matrixv", 6, 2)), (2, names(of: "matrixv", 6, 0)),
      (2, names(of: "", 0xffff_ffff, 1)),
      // Ranks that do not match the axes.
      (4, words(2, 2)), (4, words(0, 1)), (4, words(0xffff_ffff, 1)), (5, numbers(2, 3)), (5, []),
      (10, numbers(40)), (10, numbers(40, 4, 4)), (10, []), (12, numbers(1)),
      (12, numbers(1, 2, 3)),
      // Positions out of range, or that do not ascend.
      (9, words(2)), (9, words(0xffff_ffff)), (9, []), (9, words(0, 0)), (9, words(1, 0)),
      (11, words(2)), (11, []), (11, words(0, 0)),
      // Unknown dtypes.
      (3, words(0, 3)), (3, words(1, 34)), (3, words(1, -1)),
    ] as [(UInt64, [UInt8])])
  func `handles whose columns do not fit together are malformed`(
    _ field: UInt64, _ column: [UInt8]
  ) {
    let bytes = Self.message(Self.handles, [field: column])
    #expect(isMalformed { _ = try resolveReply(3, bytes) })
  }

  @Test func `positions that do not ascend are malformed even if their axes fit`() {
    for positions in [Self.words(0, 0), Self.words(1, 0)] {
      for (field, numbers) in [(9, 10), (11, 12)] as [(UInt64, UInt64)] {
        let axes = positions == Self.words(0, 0) ? [1, 1, 1, 1] : [1, 1, 1]
        let bytes = Self.message(
          Self.handles, [field: positions, numbers: RawMessage.fixed64(axes)])
        #expect(isMalformed { _ = try resolveReply(3, bytes) })
      }
    }
  }

  @Test func `only a plan's handles have no regions and no offsets`() throws {
    func plan(_ changes: Columns) throws -> Handles {
      let bytes = RawMessage().adding(3, Self.message(Self.handles, changes)).bytes
      return try ResolveReply(unpacking: bytes.rawSpan, scratch, isPlan: true).handles
    }
    let handles = try plan([6: [], 7: []])
    #expect(handles.count == 2)
    #expect(
      handles[0]
        == Handle(
          variable: 0, tensor: "matrix", dtype: .float32, shape: [2, 3], strides: [40, 4],
          region: 0, offset: 0, byteCount: 24, starts: [1, 2]))
    #expect(try handles.extents(variableCount: 2, regionCount: 1).count == 1)
    #expect(throws: MessageError.self) { try handles.extents(variableCount: 1, regionCount: 1) }
    #expect(isMalformed { _ = try plan([:]) })
    #expect(isMalformed { _ = try plan([6: []]) })
    #expect(isMalformed { _ = try plan([7: []]) })
    #expect(isMalformed { _ = try plan([6: [], 7: [], 8: Self.numbers(24)]) })
    let none = Self.message(Self.handles, [6: [], 7: []])
    #expect(isMalformed { _ = try resolveReply(3, none) })
  }

  @Test func `skipped variables without their tensors are malformed`() throws {
    let skipped: Columns = [
      1: Self.words(4, 2), 2: Self.names("a", "bc"), 3: Self.words(-1, 2), 4: Self.numbers(3, 90),
    ]
    #expect(
      try resolveReply(4, Self.message(skipped)).report.skipped
        == [
          .init(variable: 4, tensor: "a"), .init(variable: 2, tensor: "bc", storedShape: [3, 90]),
        ])
    for names in [[], Self.names("a"), Self.names("a", "b", "c"), Self.names(of: "abc", 1, 1)] {
      #expect(isMalformed { _ = try resolveReply(4, Self.message(skipped, [2: names])) })
    }
    for (field, column) in [
      (3, []), (3, Self.words(2)), (3, Self.words(-1, 1)), (3, Self.words(2, 2)),
      (4, Self.numbers(3)), (4, []),
    ] as [(UInt64, [UInt8])] {
      #expect(isMalformed { _ = try resolveReply(4, Self.message(skipped, [field: column])) })
    }
  }

  @Test(
    arguments: [
      (5, [1, 0, 0]), (6, [1, 0, 0, 0, 0]), (8, names(of: "abc", 1, 1)),
    ] as [(UInt64, [UInt8])])
  func `reports whose columns end early are malformed`(_ field: UInt64, _ column: [UInt8]) {
    #expect(isMalformed { _ = try resolveReply(field, column) })
  }

  // MARK: Tensors

  /// A matrix that is stored in two slices, and a scalar.
  private static let tensors: Columns = [
    1: names("matrix", "s"), 2: words(1, 9), 3: words(2, 0), 4: numbers(4, 3), 5: numbers(48, 8),
    6: words(0, 0), 7: numbers(0, 0, 2, 0), 8: numbers(2, 3, 2, 3),
  ]

  private func tensors(_ changes: Columns = [:]) throws -> [ListReply.Tensor] {
    let bytes = RawMessage().adding(2, Self.message(Self.tensors, changes)).bytes
    return try ListReply(unpacking: bytes.rawSpan, scratch).tensors
  }

  @Test func `tensors in columns are read`() throws {
    let slices = [
      TensorSlice(starts: [0, 0], counts: [2, 3]), TensorSlice(starts: [2, 0], counts: [2, 3]),
    ]
    #expect(
      try tensors() == [
        .init(name: "matrix", dtype: .float32, shape: [4, 3], byteCount: 48, slices: slices),
        .init(name: "s", dtype: .int64, shape: [], byteCount: 8, slices: []),
      ])
  }

  @Test(
    arguments: [
      (1, names("matrix")), (1, []), (1, names(of: "matrixs", 6, 2)), (2, words(1)),
      (2, words(1, 9, 9)),
      (2, words(1, 0)), (3, words(2)), (3, words(2, 1)), (3, words(2, 0xffff_ffff)),
      (4, numbers(4)), (4, []), (5, numbers(48)), (6, words(0)), (6, words(0, 1)), (6, words(0, 2)),
      (6, words(0, 0xffff_ffff)), (6, []), (7, numbers(0, 0, 2)), (7, []),
      (8, numbers(2, 3, 2, 3, 1)), (8, []),
    ] as [(UInt64, [UInt8])])
  func `tensors whose columns do not fit together are malformed`(
    _ field: UInt64, _ column: [UInt8]
  ) {
    #expect(isMalformed { _ = try tensors([field: column]) })
  }

  // MARK: Variables

  /// A matrix whose first axis is unknown and a vector outside of the store, which is a partition.
  private static let variables: Columns = [
    1: names("matrix", "v/part_1"), 2: words(1, 3), 3: words(2, 1), 4: numbers(-1, 3, 4),
    5: words(1), 6: message(partitions),
  ]
  private static let partitions: Columns = [
    1: words(1), 2: names("v"), 3: words(1), 4: numbers(8), 5: numbers(4),
  ]

  @Test func `variables in columns are read`() throws {
    let partition = Partition(of: "v", fullShape: [8], offset: [4])
    #expect(
      try request().variables.all == [
        Variable("matrix", dtype: .float32, shape: [-1, 3]),
        Variable("v/part_1", dtype: .int32, shape: [4], partition: partition, isInStore: false),
      ])
    let bytes = Self.message(Self.variables, [3: Self.words(-1, 3)])
    #expect(try request(variables: bytes).variables.all.map(\.shape) == [nil, [-1, 3, 4]])
  }

  @Test(
    arguments: [
      (1, names("matrix")), (1, []), (1, names("matrix", "v", "w")),
      (1, names(of: "matrixv", 3, 3)),
      (2, words(1)), (2, words(1, 3, 3)), (3, words(2)), (3, []), (3, words(2, 2)),
      (3, words(2, -1)), (3, words(2, 0x7fff_ffff)), (4, numbers(-1, 3)), (4, []), (5, words(2)),
      (5, words(-1)), (2, words(1, 0)), (2, words(1, 34)), (2, words(1, 101)), (2, words(1, -1)),
    ] as [(UInt64, [UInt8])])
  func `variables whose columns do not fit together are malformed`(
    _ field: UInt64, _ column: [UInt8]
  ) {
    let bytes = Self.message(Self.variables, [field: column])
    #expect(isMalformed { _ = try request(variables: bytes) })
  }

  @Test(
    arguments: [
      (1, words(2)), (1, words(-1)), (1, []), (1, words(0, 1)), (2, names("v", "w")), (2, []),
      (3, words(2)), (3, []), (3, words(0xffff_ffff)), (4, numbers(8, 8)), (4, []),
      (5, numbers(4, 4)), (5, []),
    ] as [(UInt64, [UInt8])])
  func `partitions whose columns do not fit together are malformed`(
    _ field: UInt64, _ column: [UInt8]
  ) {
    let partitions = Self.message(Self.partitions, [field: column])
    let bytes = Self.message(Self.variables, [6: partitions])
    #expect(isMalformed { _ = try request(variables: bytes) })
  }

  @Test func `only a variable may have an unknown rank`() {
    let partitions = Self.message(
      Self.partitions, [3: Self.words(-1), 4: Self.numbers(), 5: Self.numbers()])
    let bytes = Self.message(Self.variables, [6: partitions])
    #expect(isMalformed { _ = try request(variables: bytes) })
    #expect(isMalformed { _ = try tensors([3: Self.words(2, -1)]) })
    let ranks: Columns = [4: Self.words(2, -1), 5: Self.numbers(2, 3)]
    #expect(isMalformed { _ = try resolveReply(3, Self.message(Self.handles, ranks)) })
  }

  // MARK: Transposes

  /// The first variable has two axes, the second one none.
  private static let transposes: Columns = [1: words(0, 1), 2: words(2, 0), 3: words(1, 0)]

  @Test func `transposes in columns are read`() throws {
    let variables = try request(transposes: Self.message(Self.transposes)).variables
    #expect(variables.axes == [0: [1, 0], 1: []])
    #expect(try request().variables.axes.isEmpty)
  }

  @Test(
    arguments: [
      (1, words(0)), (1, []), (1, words(0, 1, 1)), (2, words(2)), (2, []), (2, words(2, 0, 0)),
      // Ranks that do not add up to the axes.
      (2, words(1, 0)), (2, words(2, 1)), (2, words(0xffff_ffff, 3)), (3, words(1)), (3, []),
      (3, words(1, 0, 2)),
      // Unknown variables, and rows that do not ascend.
      (1, words(0, 2)), (1, words(0, -1)), (1, words(1, 0)), (1, words(0, 0)),
    ] as [(UInt64, [UInt8])])
  func `transposes whose columns do not fit together are malformed`(
    _ field: UInt64, _ column: [UInt8]
  ) {
    let transposes = Self.message(Self.transposes, [field: column])
    #expect(isMalformed { _ = try request(transposes: transposes) })
  }

  // MARK: Gathers

  /// The first variable's rows and columns, and the second one's rows.
  private static let gathers: Columns = [
    1: words(0, 0, 1), 2: words(0, 2, 0), 3: words(2, 0, 1), 4: numbers(5, -1, 1 << 40),
  ]

  @Test func `gathers in columns are read`() throws {
    let gathers = try request(gathers: Self.message(Self.gathers)).variables.gathers
    #expect(
      gathers == [
        0: Gather([Gather.Axis(0, [5, -1]), Gather.Axis(2, [])]),
        1: Gather([Gather.Axis(0, [1 << 40])]),
      ])
    #expect(try request().variables.gathers.isEmpty)
  }

  @Test(
    arguments: [
      // Lengths that disagree.
      (1, words(0, 0)), (1, []), (1, words(0, 0, 1, 1)), (2, words(0, 2)), (2, []),
      (3, words(2, 0)), (3, words(2, 0, 1, 0)), (3, []),
      // Counts that do not add up to the indices.
      (3, words(2, 0, 2)), (3, words(2, 0, 0)), (3, words(0xffff_ffff, 0xffff_ffff, 0xffff_ffff)),
      (3, words(0xffff_ffff, 3, 1)), (4, numbers(5, -1)), (4, numbers(5, -1, 1, 2)), (4, []),
      // Unknown variables.
      (1, words(0, 0, 2)), (1, words(0, 0, -1)),
      // Rows that do not ascend.
      (1, words(1, 1, 0)), (2, words(2, 0, 0)), (2, words(2, 2, 0)), (1, words(0, 1, 0)),
    ] as [(UInt64, [UInt8])])
  func `gathers whose columns do not fit together are malformed`(
    _ field: UInt64, _ column: [UInt8]
  ) {
    let gathers = Self.message(Self.gathers, [field: column])
    #expect(isMalformed { _ = try request(gathers: gathers) })
  }

  // MARK: Maps

  /// A pair for each kind of target.
  private static let map: Columns = [
    1: names("a/", "b", "c"), 2: words(0, 1, 2), 3: words(1, 1, 2), 4: names("x/", "y", "z", "w"),
  ]

  @Test func `pairs in columns are read`() throws {
    #expect(
      try request().map.pairs == [
        .init("a/", .name("x/")), .init("b", .variable("y")), .init("c", .variables(["z", "w"])),
      ])
    let none = Self.message(Self.map, [3: Self.words(1, 1, 0), 4: Self.names("x/", "y")])
    #expect(try request(map: none).map.pairs.last?.target == .variables([]))
  }

  @Test(
    arguments: [
      (1, names("a/", "b")), (1, []), (2, words(0, 1)), (2, words(0, 1, 2, 2)), (2, words(0, 0, 0)),
      (2, words(0, 1, 1)), (2, words(0, 1, 9)), (2, words(0, 1, -1)), (3, words(1, 1)),
      (3, words(0, 2, 2)), (3, words(2, 0, 2)), (3, words(2, 1, 1)), (3, words(1, 1, 1)),
      (3, words(1, 1, 3)), (3, words(1, 1, 0xffff_ffff)), (4, names("x/", "y", "z")), (4, []),
      (4, names("x/", "y", "z", "w", "v")), (4, names(of: "x/yzw", 2, 1, 1, 2)),
    ] as [(UInt64, [UInt8])])
  func `a map whose columns do not fit together is malformed`(
    _ field: UInt64, _ column: [UInt8]
  ) {
    let bytes = Self.message(Self.map, [field: column])
    #expect(isMalformed { _ = try request(map: bytes) })
  }
}
