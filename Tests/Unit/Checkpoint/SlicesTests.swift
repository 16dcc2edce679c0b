import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// Impossible numbers in lists of slices, and names that look like slices' keys.
@Suite struct SlicesTests {
  /// The result of a request for a whole tensor, or for a partition.
  private func outcome(
    of slices: [[BundleWriter.Extent]], shape: [Int] = [5, 4], partition: Bool = false
  ) throws -> Reason? {
    var writer = BundleWriter()
    var list = BundleWriter.Entry()
    (list.dtype, list.shape, list.slices) = (1, shape, slices)
    writer.insert("x", list)
    for slice in Set(slices) {
      writer.add(
        .slice(of: "x", slice), dtype: 1, zip(slice, shape).map { $0.length ?? $1 }, [])
    }
    do {
      let opened = try Opened(writer)
      var variable = Variable("v", dtype: .float32, shape: Shape(shape), isInStore: false)
      if partition {
        variable = Variable(
          "v", dtype: .float32, shape: [1, 4],
          partition: Partition(of: "v", fullShape: Shape(shape), offset: [2, 0]), isInStore: false)
      }
      let target: AssignmentMap.Target = partition ? .variables(["v"]) : .variable("v")
      let resolution = try Resolution.resolve(
        AssignmentMap([.init("x", target)]), variables: [variable], in: opened.checkpoint.catalog)
      let slice = resolution.assignments[0].slice
      _ = try opened.checkpoint.placement(of: 0, slice, PlacementOptions(), in: opened.files)
      return nil
    } catch let problem as Problem {
      return problem.reason
    } catch let problems as Problems {
      return problems.first.reason
    }
  }

  @Test(
    arguments: [
      [.init(0, 6), .whole], [.init(4, 2), .whole], [.init(-1, 2), .whole], [.init(0, -1), .whole],
      [.init(.max, 2), .whole], [.init(.max, .max), .whole], [.init(.min, .max), .whole],
      [.init(1, .max), .whole], [.init(.min, .min), .whole], [.init(1 << 62, 1 << 62), .whole],
      [.init(0, 5), .init(.max, 1)], [.init(0, 5), .init(3, nil)], [.init(.min, nil), .whole],
    ] as [[BundleWriter.Extent]])
  func `a stored slice outside the shape is refused, whatever its numbers`(
    _ slice: [BundleWriter.Extent]
  ) throws {
    for partition in [false, true] {
      let alone = try outcome(of: [slice], partition: partition)
      #expect(alone == .corrupt)
      let sound: [BundleWriter.Extent] = [.init(0, 3), .whole]
      #expect(try outcome(of: [sound, slice], partition: partition) == .corrupt)
    }
  }

  @Test func `overlapping slices are refused, even with different spellings`() throws {
    let first: [BundleWriter.Extent] = [.init(0, 3), .whole]
    #expect(try outcome(of: [first, [.init(2, 3), .whole]]) == .slicesOverlap)
    #expect(try outcome(of: [first, [.init(0, 3), .init(0, 4)]]) == .slicesOverlap)
    #expect(try outcome(of: [first, first]) == .slicesOverlap)
  }

  @Test func `a gap between slices is refused only to calls that need it`() throws {
    let slices: [[BundleWriter.Extent]] = [[.init(0, 2), .whole], [.init(3, 2), .whole]]
    #expect(try outcome(of: slices) == .slicesIncomplete)
    #expect(try outcome(of: slices, partition: true) == .slicesIncomplete)
  }

  @Test func `numbers near the end of Int in shapes and slices do not trap`() throws {
    let slices: [[BundleWriter.Extent]] = [[.init(0, 1 << 61)], [.init(1 << 61, 1 << 61)]]
    #expect(try outcome(of: slices, shape: [1 << 62]) == .corrupt)
    #expect(try outcome(of: [[.init(0, 0), .whole]], shape: [0, 1 << 62]) == nil)
    #expect(
      try outcome(of: [[.init(0, 0), .init(0, .max), .init(0, 4)]], shape: [0, .max, 4]) == nil)
  }

  @Test func `sizes of slices that overflow together do not become negative`() throws {
    var writer = BundleWriter()
    writer.add("x", dtype: 1, [4], floats(4), slices: [[.init(0, 2)], [.init(2, 2)]])
    writer.change(.slice(of: "x", [.init(0, 2)])) { $0.byteCount = 1 << 62 }
    writer.change(.slice(of: "x", [.init(2, 2)])) { $0.byteCount = 1 << 62 }
    let opened = try Opened(writer)
    #expect(opened.checkpoint.byteCount(of: 0) == .max)
    #expect(opened.checkpoint.byteCount == .max)
  }

  @Test func `slices of many axes and pairs of pieces and slices are charged`() throws {
    var writer = BundleWriter()
    let rank = 200
    let whole = [BundleWriter.Extent](repeating: .whole, count: rank - 1)
    writer.add(
      "x", dtype: 4, [20] + Array(repeating: 1, count: rank - 1), Array(repeating: 1, count: 20),
      slices: (0..<20).map { [.init($0, 1)] + whole })
    let opened = try Opened(writer)
    #expect(opened.checkpoint.catalog.memoryByteCount > 20 * (128 + 16 * rank))
    let pieces = try (0..<10).map { _ in
      guard case .piece(let piece) = try opened.placement("x") else {
        throw Problem(.system, "slices that lie ready")
      }
      return piece
    }
    var loading = Loading(opened.checkpoint, opened.files) {}
    #expect(try loading.decodingByteCount(of: pieces) == 10 * 20 * 24)
    for start in [0, 7, 19] {
      let zeros = Array(repeating: 0, count: rank - 1)
      let ones = Array(repeating: 1, count: rank - 1)
      let slice = TensorSlice(starts: [start] + zeros, counts: [min(3, 20 - start)] + ones)
      #expect(opened.checkpoint.runs(of: 0, slice) == Array(start..<min(20, start + 3)))
    }
  }

  // MARK: Names that begin with a zero byte

  @Test func `a name that begins with a zero byte is a tensor, a slice's key is not`() throws {
    var writer = BundleWriter()
    writer.add("\u{0}a", dtype: 1, [2], floats(2))
    writer.add("\u{0}b", dtype: 1, [4], floats(4), slices: [[.init(0, 1)], [.init(1, 3)]])
    writer.add("c", dtype: 1, [4], floats(4), slices: [[.init(0, 2)], [.init(2, 2)]])
    writer.add("\u{0}", dtype: 1, [], floats(1))
    let opened = try Opened(writer)
    let names = (0..<opened.checkpoint.catalog.count).map { opened.checkpoint.catalog.name($0) }
    #expect(names == ["\u{0}", "\u{0}a", "\u{0}b", "c"])
    #expect(try opened.bytes("\u{0}") == floats(1))
    #expect(try opened.bytes("\u{0}a") == floats(2))
    #expect(try opened.bytes("\u{0}b") == floats(4))
    #expect(try opened.bytes("c") == floats(4))
  }

  @Test func `names of any bytes are found, in the order of bytes`() throws {
    var writer = BundleWriter()
    let names: [[UInt8]] = [[0xff, 0xfe], [0, 0xff, 1], [0x80], [1], [0xff], Array("a\0b".utf8)]
    for (index, name) in names.enumerated() {
      writer.add(BundleWriter.Key(name), dtype: 4, [1], [UInt8(index)])
    }
    let catalog = try Opened(writer).checkpoint.catalog
    #expect((0..<catalog.count).map { catalog.name($0) } == names.map { Name($0[...]) }.sorted())
    for name in names { #expect(catalog.position(of: Name(name[...])) != nil) }
  }

  @Test func `a slice that no tensor lists is a tensor of its own, as TensorFlow lists it`() throws
  {
    var writer = BundleWriter()
    writer.add("x", dtype: 1, [4], floats(4), slices: [[.init(0, 2)], [.init(2, 2)]])
    writer.change("x") { $0.slices.removeLast() }
    let opened = try Opened(writer)
    #expect(opened.checkpoint.catalog.count == 2)
    #expect(opened.checkpoint.catalog.name(1) == "x")
  }
}
