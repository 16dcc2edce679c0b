import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// What is read, and what is refused, for variables made from chosen rows or columns.
@Suite struct GatherTests {
  private func rows(_ indices: Int...) -> Gather { Gather([Gather.Axis(0, indices)]) }

  private func problem(_ body: () throws -> Void) throws -> Problem {
    try #require(#expect(throws: Problem.self, performing: body))
  }

  /// The bytes that a variable `v` gets from a tensor `x`.
  private func resolve(
    _ gather: Gather, _ shape: Shape?, of opened: Opened, _ options: Resolution.Options = [],
    dtype: DataType = .float32, partition: Partition? = nil
  ) throws -> Resolution {
    var variables = VariableList([Variable("v", dtype: dtype, shape: shape, partition: partition)])
    variables.gather(0, gather)
    return try Resolution.resolve(
      ["x": "v"], variables: variables, in: opened.checkpoint.catalog, options)
  }

  private func refusal(_ body: () throws -> Resolution) throws -> Problem {
    try #require(#expect(throws: Problems.self) { _ = try body() }).first
  }

  private func matrix() throws -> Opened {
    var writer = BundleWriter()
    writer.add("x", dtype: 1, [4, 3], floats(12))
    return try Opened(writer)
  }

  // MARK: Shapes and indices

  @Test func `the shape has the counts in place of the chosen axes' lengths`()
    throws
  {
    let opened = try matrix()
    let both = Gather([Gather.Axis(0, [3, -1, 0, 0, 1]), Gather.Axis(1, [2])])
    for shape in [[5, 1], [-1, 1], [5, -1], [-1, -1], nil] as [Shape?] {
      #expect(
        try resolve(both, shape, of: opened).assignments == [.init(variable: 0, tensor: 0)])
    }
    #expect(try resolve(rows(), [0, 3], of: opened).assignments.count == 1)
    for shape in [[4, 3], [5, 3], [5, 1, 1], [1, 5]] as [Shape] {
      let problem = try refusal { try resolve(both, shape, of: opened) }
      #expect(problem.reason == .shapeMismatch)
      #expect(problem.variable == "v")
    }
    let problem = try refusal { try resolve(both, [4, 3], of: opened) }
    #expect(
      problem.message
        == "key x: shape [4, 3] of variable v doesn't match shape [4, 3] of tensor x gathered to "
        + "length 5 on axis 0, 1 on axis 1")
  }

  @Test func `a variable whose shape is not the gathered one may be skipped`() throws {
    let resolution = try resolve(rows(1, 2), [4, 3], of: matrix(), [.skipMismatched, .lenient])
    #expect(resolution.assignments.isEmpty)
    #expect(resolution.skipped == [.init(variable: 0, tensor: "x", storedShape: [4, 3])])
  }

  @Test(arguments: [4, -2, .max, .min])
  func `an index that the tensor lacks is named`(_ index: Int) throws {
    let problem = try refusal { try resolve(rows(0, -1, index, 3), nil, of: matrix()) }
    #expect(problem.reason == .invalidRequest)
    #expect(
      problem.message
        == "variable v, tensor x: index \(index) on axis 0 is out of range: the tensor's length is 4"
    )
  }

  @Test func `an axis that the tensor or the variable lacks is refused`() throws {
    let gather = Gather([Gather.Axis(2, [0])])
    for shape in [nil, [4, 3], [4, 3, 1]] as [Shape?] {
      let problem = try refusal { try resolve(gather, shape, of: matrix()) }
      #expect(problem.reason == (shape?.rank == 3 ? .shapeMismatch : .invalidRequest))
    }
  }

  @Test func `partitions, strings and other dtypes are refused`() throws {
    let partition = Partition(of: "v", fullShape: [8, 3], offset: [0, 0])
    let problem = try refusal {
      try resolve(rows(1), [1, 3], of: matrix(), partition: partition)
    }
    #expect(problem.reason == .invalidRequest)
    #expect(problem.message.contains("is a partition"))
    var writer = BundleWriter()
    writer.add("x", strings: [[1], [2]], [2])
    let strings = try refusal { try resolve(rows(1), [1], of: Opened(writer), dtype: .string) }
    #expect(strings.reason == .unsupported)
    #expect(strings.message.contains("string"))
    let other = try refusal { try resolve(rows(1), [1, 3], of: matrix(), dtype: .float64) }
    #expect(other.reason == .dtypeMismatch)
  }

  @Test func `a size that overflows is refused before anything is read`() throws {
    var writer = BundleWriter()
    let shape = [1 << 20, 1 << 20, 1 << 20, 0]
    writer.add("x", dtype: 1, shape, [])
    writer.addZeros("y", dtype: 1, [1, 1, 1, 1])
    writer.change("y") { ($0.shape, $0.byteCount) = ([1 << 20, 1 << 20, 1 << 20], 1 << 62) }
    let opened = try Opened(writer)
    #expect(try opened.bytes("x", gather: rows(5, 6)) == [])
    // The file cannot hold it.
    #expect(try problem { _ = try opened.placement("y", gather: rows(0)) }.reason == .truncated)
    var small = BundleWriter()
    small.add("x", dtype: 1, Array(repeating: 1, count: 8), floats(1))
    let many = (0..<8).map { Gather.Axis($0, Array(repeating: 0, count: 256)) }
    let over = try Opened(small)
    #expect(
      try problem { _ = try over.placement("x", gather: Gather(many)) }.reason == .budget)
    #expect(try over.bytes("x", gather: Gather([many[0]])).count == 1024)
  }

  // MARK: Reading

  @Test func `rows longer than one read go to all their places`() throws {
    let count = 300_000
    var writer = BundleWriter()
    let bytes = (0..<3 * count).map { UInt8(truncatingIfNeeded: $0 / 7 ^ $0 >> 9) }
    writer.add("x", dtype: 4, [3, count], bytes)
    let opened = try Opened(writer)
    func row(_ index: Int) -> ArraySlice<UInt8> { bytes[index * count..<(index + 1) * count] }
    let read = try opened.bytes("x", gather: rows(2, 1, -1, 1, 2, 1))
    let zeros = [UInt8](repeating: 0, count: count)[...]
    let expected = [row(2), row(1), zeros, row(1), row(2), row(1)]
    #expect(read == Array(expected.joined()))
    let columns = [count - 1, 0, count / 2]
    let picked = try opened.bytes("x", gather: Gather([Gather.Axis(1, columns + [-1])]))
    var elements: [UInt8] = []
    for row in 0..<3 { elements += columns.map { bytes[row * count + $0] } + [0] }
    #expect(picked == elements)
  }

  @Test func `only slices between the first and the last chosen row are read`() throws {
    var writer = BundleWriter()
    let slices = (0..<4).map { [BundleWriter.Extent($0, 1), .whole] }
    writer.add("x", dtype: 1, [4, 3], floats(12), slices: slices)
    for slice in [slices[0], slices[3]] {
      writer.change(.slice(of: "x", slice)) { $0.checksum ^= 1 }
    }
    let opened = try Opened(writer)
    let read = try opened.bytes("x", gather: rows(2, -1, 1))
    let all = floats(12)
    let expected = all[24..<36] + [UInt8](repeating: 0, count: 12) + all[12..<24]
    #expect(read == Array(expected))
    for index in [0, 3] {
      let problem = try problem { _ = try opened.bytes("x", gather: rows(1, index)) }
      #expect(problem.reason == .checksumMismatch)
    }
  }

  @Test func `the checksum of a whole stored run is compared`() throws {
    var writer = BundleWriter()
    writer.add("x", dtype: 1, [4, 3], floats(12))
    let opened = try Opened(writer) { bundle in
      try BundleFile.overwrite(bundle.shards[0], at: 47, [0xff])
    }
    let problem = try problem { _ = try opened.bytes("x", gather: rows(0)) }
    #expect(problem.reason == .checksumMismatch)
    // No byte of the tensor is needed.
    let none = try opened.bytes("x", gather: rows(-1, -1))
    #expect(none == Array(repeating: 0, count: 24))
  }

  @Test func `missing slices are refused only to calls that need them`() throws {
    var writer = BundleWriter()
    let slices = (0..<4).map { [BundleWriter.Extent($0, 1), .whole] }
    writer.add("x", dtype: 1, [4, 3], floats(12), slices: slices)
    writer.change("x") { $0.slices.removeLast() }
    let opened = try Opened(writer)
    #expect(try resolve(rows(2, 0), [2, 3], of: opened).assignments.count == 1)
    let problem = try refusal { try resolve(rows(2, 3), [2, 3], of: opened) }
    #expect(problem.reason == .slicesIncomplete)
  }

  @Test func `records of V1 tables are read`() throws {
    var writer = SavedSlicesWriter()
    writer.add(
      "x", dtype: 3, [3, 2],
      [
        ([.init(0, 2), .whole], .varints(7, [1, 2, 3, 4])),
        ([.init(2, 1), .whole], .varints(7, [5, 6])),
      ])
    let opened = try Opened(writer)
    let gather = Gather([Gather.Axis(0, [2, -1, 0, 2]), Gather.Axis(1, [1])])
    let read = try opened.bytes("x", gather: gather)
    #expect(read == [6, 0, 2, 6].flatMap { [$0, 0, 0, 0] })
  }

  @Test func `lists are charged, and so is sorting them`() throws {
    let opened = try matrix()
    let gather = Gather([Gather.Axis(0, Array(repeating: 1, count: 1000))])
    guard case .piece(let piece) = try opened.placement("x", gather: gather) else {
      Issue.record("chosen rows of a file")
      return
    }
    #expect(piece.listByteCount == 8100)
    var loading = Loading(opened.checkpoint, opened.files) {}
    #expect(try loading.decodingByteCount(of: [piece]) == 16_000 + 24)
    #expect(try loading.byteCount(of: piece) == 12_000)
  }

  @Test func `pieces are the same if their lists are equal`() throws {
    let opened = try matrix()
    func piece(_ gather: Gather?) throws -> Piece? {
      let placed = try opened.placement("x", gather: gather, PlacementOptions(sealed: true))
      guard case .piece(let piece) = placed else { return nil }
      return piece
    }
    let same = Set([try piece(rows(1, -1)), try piece(rows(1, -1))])
    #expect(same.count == 1)
    let other = Gather([Gather.Axis(1, [1, -1])])
    let all = Set([
      try piece(rows(1, -1)), try piece(rows(-1, 1)), try piece(other), try piece(nil),
      try piece(rows(1, -1, 1)),
    ])
    #expect(all.count == 5)
  }
}
