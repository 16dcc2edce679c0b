import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// Random checkpoints, read through any placement, against a dictionary of the written tensors.
@Suite struct ModelTests {
  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func `written tensors are read back, for all dtypes, byte orders, tilings and boxes`(
    _ seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed)
    var model = Model(&random)
    let opened = try Opened(model.writer)
    #expect(opened.checkpoint.catalog.count == model.tensors.count)
    for (name, tensor) in model.tensors.sorted(by: { $0.key < $1.key }) {
      for _ in 0..<6 {
        let extents = model.box(of: tensor.shape)
        let slice = extents.map {
          TensorSlice(
            starts: $0.map(\.start), counts: BundleWriter.lengths(of: $0, in: tensor.shape))
        }
        let positions = BundleWriter.positions(
          of: extents ?? tensor.shape.map { _ in .whole }, in: tensor.shape)
        let what = "seed \(seed), \(name) \(tensor.dtype) \(tensor.shape), \(slice as Any)"
        if let strings = tensor.strings {
          #expect(try opened.strings(name, slice) == positions.map { strings[$0] }, "\(what)")
          continue
        }
        let width = try #require(DTypes.width[tensor.dtype])
        let expected = positions.flatMap { tensor.bytes[$0 * width..<($0 + 1) * width] }
        let read = try opened.bytes(name, slice, model.options())
        #expect(read == expected, "\(what)")
      }
    }
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func `chosen rows and columns are read, for all dtypes, byte orders and tilings`(
    _ seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed)
    var model = Model(&random)
    let opened = try Opened(model.writer)
    for (name, tensor) in model.tensors.sorted(by: { $0.key < $1.key }) {
      guard let width = DTypes.width[tensor.dtype] else { continue }
      for _ in 0..<6 {
        guard let gather = model.gather(of: tensor.shape) else { continue }
        let what = "seed \(seed), \(name) \(tensor.dtype) \(tensor.shape), \(gather.axes)"
        let read = try opened.bytes(name, gather: gather, model.options())
        #expect(read == tensor.gathered(gather, width: width), "\(what)")
      }
    }
  }

  @Test func `every dtype is read in both byte orders, whole and in slices`() throws {
    for isBigEndian in [false, true] {
      var random = SeededRandom(seed: 7)
      var writer = BundleWriter()
      writer.isBigEndian = isBigEndian
      var expected: [String: [UInt8]] = [:]
      for (dtype, width) in DTypes.width {
        let bytes = random.bytes(12 * width)
        writer.add(.init("whole\(dtype)"), dtype: dtype, [3, 4], bytes)
        writer.add(
          .init("cut\(dtype)"), dtype: dtype, [3, 4], bytes,
          slices: [[.whole, .init(0, 3)], [.whole, .init(3, 1)]])
        expected["whole\(dtype)"] = bytes
        expected["cut\(dtype)"] = bytes
      }
      let opened = try Opened(writer)
      #expect(
        (0..<opened.checkpoint.catalog.count).allSatisfy {
          opened.checkpoint.isBigEndian($0) == isBigEndian
        })
      for (name, bytes) in expected {
        #expect(try opened.bytes(name) == bytes, "\(name), big \(isBigEndian)")
      }
    }
  }

  @Test func `the writer makes the same entries as TensorFlow`() {
    typealias Key = BundleWriter.Key
    #expect(
      Key.slice(of: "scope/p", [.init(3, 2), .init(0, 4)]).bytes
        == [0] + Array("scope/p".utf8) + [0, 1, 1, 2, 0x83, 0x82, 0x80, 0x84])
    #expect(
      Key.slice(of: "x", [.init(0, 3), .whole]).bytes
        == [0, 0x78, 0, 1, 1, 2, 0x80, 0x83, 0x80, 0x7f])
    #expect(
      Key.slice(of: "q", [.init(67, 100), .init(0x42_4242, -0x800)]).bytes
        == [0, 0x71, 0, 1, 1, 2, 0xc0, 0x43, 0xc0, 0x64, 0xf0, 0x42, 0x42, 0x42, 0x38, 0])
    var entry = BundleWriter.Entry()
    (entry.dtype, entry.shape, entry.byteCount, entry.checksum) = (1, [2, 3], 24, 0x173d_dbc0)
    #expect(
      entry.bytes
        == [8, 1, 0x12, 8, 0x12, 2, 8, 2, 0x12, 2, 8, 3, 0x28, 0x18, 0x35, 0xc0, 0xdb, 0x3d, 0x17])
    #expect(CRC32C.of(Array("123456789".utf8)) == 0xe306_9283)
  }
}

/// Tensors as a dictionary, and the writer that wrote them.
private struct Model {
  struct Tensor {
    var dtype: Int
    var shape: [Int]
    var bytes: [UInt8] = []
    var strings: [[UInt8]]?

    /// The bytes with the chosen indices of some axes.
    func gathered(_ gather: Gather, width: Int) -> [UInt8] {
      // The elements' positions, axis by axis; nil for zeros.
      var positions: [Int?] = [0]
      for (axis, length) in shape.enumerated() {
        let chosen = gather.axes.first { $0.axis == axis }?.indices ?? Array(0..<length)
        positions = positions.flatMap { position in
          chosen.map { index in
            index < 0 ? nil : position.map { $0 * length + index }
          }
        }
      }
      return positions.flatMap { position in
        position.map { Array(bytes[$0 * width..<($0 + 1) * width]) }
          ?? Array(repeating: 0, count: width)
      }
    }
  }

  var writer = BundleWriter()
  var tensors: [String: Tensor] = [:]
  private var random: SeededRandom

  init(_ random: inout SeededRandom) {
    self.random = random
    writer.isBigEndian = random.below(3) == 0
    writer.alignment = [1, 1, 8, 64][random.below(4)]
    writer.table.blockByteCount = [64, 262_144][random.below(2)]
    writer.table.restartInterval = 1 + random.below(16)
    for number in 0..<8 { add("\(["w", "a/b", "\u{0}z", "é"][number % 4])\(number)") }
  }

  private mutating func add(_ name: String) {
    let shape = (0..<random.below(4)).map { _ in 1 + random.below(6) }
    let count = shape.reduce(1, *)
    let shards = (0...random.below(3)).map { _ in random.below(3) }
    let slices = random.below(2) == 0 ? [] : tiling(of: shape)
    if random.below(3) == 0 { writer.skip(1 + random.below(7), in: shards[0]) }
    guard random.below(4) > 0 else {
      let strings = (0..<count).map { _ in random.bytes(random.below(200)) }
      writer.add(.init(name), strings: strings, shape, slices: slices, in: shards)
      tensors[name] = Tensor(dtype: DTypes.string, shape: shape, strings: strings)
      return
    }
    let dtypes = DTypes.width.keys.sorted()
    let dtype = dtypes[random.below(dtypes.count)]
    let bytes = random.bytes(count * (DTypes.width[dtype] ?? 1))
    if slices.isEmpty {
      writer.add(.init(name), dtype: dtype, shape, bytes, in: shards[0])
    } else {
      writer.add(.init(name), dtype: dtype, shape, bytes, slices: slices, in: shards)
    }
    tensors[name] = Tensor(dtype: dtype, shape: shape, bytes: bytes)
  }

  /// Cuts every axis at random places; whole axes are spelled either way.
  private mutating func tiling(of shape: [Int]) -> [[BundleWriter.Extent]] {
    var tiles: [[BundleWriter.Extent]] = [[]]
    for length in shape {
      var cuts = [0]
      for place in 1..<max(1, length) where random.below(3) == 0 { cuts.append(place) }
      cuts.append(length)
      var extents = zip(cuts, cuts.dropFirst()).map { BundleWriter.Extent($0, $1 - $0) }
      if extents.count == 1, random.below(2) == 0 { extents = [.whole] }
      tiles = tiles.flatMap { tile in extents.map { tile + [$0] } }
    }
    return tiles.shuffled(using: &random)
  }

  /// A random box that is not empty, or nil for the whole tensor.
  mutating func box(of shape: [Int]) -> [BundleWriter.Extent]? {
    guard random.below(4) > 0 else { return nil }
    return shape.map { length in
      let start = random.below(length)
      return BundleWriter.Extent(start, 1 + random.below(length - start))
    }
  }

  /// Indices on some axes, in any order, missing and several times; nil if there is no axis.
  mutating func gather(of shape: [Int]) -> Gather? {
    let axes = shape.indices.filter { _ in random.below(2) == 0 }.map { axis in
      let indices = (0..<random.below(9)).map { _ in random.below(shape[axis] + 1) - 1 }
      return Gather.Axis(axis, random.below(4) == 0 ? indices.sorted() : indices)
    }
    return axes.isEmpty ? nil : Gather(axes)
  }

  mutating func options() -> PlacementOptions {
    PlacementOptions(
      alignment: [0, 1, 64, 4096][random.below(4)], sealed: random.below(4) == 0,
      strides: random.below(2) == 0)
  }
}
