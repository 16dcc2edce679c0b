import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// When bytes are served from the file itself, and when from an arena.
@Suite struct PlacementTests {
  private let opened: Opened

  init() throws {
    var writer = BundleWriter()
    writer.add("aligned", dtype: 1, [4, 6], floats(24))
    writer.add("empty", dtype: 1, [0, 3], [])
    writer.add("tile", dtype: 1, [4, 6], floats(24), slices: [[.init(0, 4), .init(0, 6)]])
    writer.add(
      "cut", dtype: 1, [4, 6], floats(24), slices: [[.init(0, 2), .whole], [.init(2, 2), .whole]])
    writer.skip(1)
    writer.add("odd", dtype: 1, [4], floats(4))
    writer.add("bytes", dtype: 4, [4], [1, 2, 3, 4])
    writer.skip(10)
    writer.add("wide", dtype: 18, [1], floats(4))
    writer.add("text", strings: [[1], [2]], [2])
    writer.add("variant", dtype: 21, [1], [0])
    opened = try Opened(writer)
  }

  private func file(
    _ name: String, _ slice: TensorSlice? = nil, view: View = View(), strides: Bool = false
  ) throws -> (offset: Int, byteCount: Int, strides: [Int])? {
    let placed = try opened.placement(
      name, slice, view: view, PlacementOptions(strides: strides))
    guard case .file(_, let offset, let byteCount, let steps) = placed else { return nil }
    return (offset, byteCount, steps)
  }

  @Test func `a whole aligned tensor is served from its file`() throws {
    let place = try #require(try file("aligned"))
    #expect(place == (0, 96, []))
    #expect(try file("bytes") != nil)
    #expect(try file("tile") != nil)
  }

  @Test func `a tensor in several slices is served from an arena, one of its slices from the file`()
    throws
  {
    #expect(try file("cut") == nil)
    #expect(try file("cut", TensorSlice(starts: [2, 0], counts: [2, 6])) != nil)
    #expect(try file("cut", TensorSlice(starts: [3, 0], counts: [1, 6])) != nil)
    #expect(try file("cut", TensorSlice(starts: [1, 0], counts: [2, 6])) == nil)
  }

  @Test(arguments: [
    (TensorSlice(starts: [1, 0], counts: [2, 6]), 24, 48),
    (TensorSlice(starts: [3, 2], counts: [1, 3]), 80, 12),
    (TensorSlice(starts: [0, 0], counts: [1, 1]), 0, 4),
  ])
  func `a contiguous box is served from the file`(
    _ slice: TensorSlice, offset: Int, byteCount: Int
  ) throws {
    let place = try #require(try file("aligned", slice))
    #expect(place == (offset, byteCount, []))
  }

  @Test func `an inner-axis box is a piece, or strides if the client takes them`() throws {
    let slice = TensorSlice(starts: [0, 2], counts: [4, 2])
    #expect(try file("aligned", slice) == nil)
    let place = try #require(try file("aligned", slice, strides: true))
    #expect(place == (8, 32, [24, 4]))
  }

  @Test func `axes in another order are strides, unless the bytes stay where they are`() throws {
    let turned = View(axes: [1, 0])
    let slice = TensorSlice(starts: [1, 2], counts: [3, 2])
    #expect(try file("aligned", view: turned) == nil)
    #expect(try #require(try file("aligned", view: turned, strides: true)) == (0, 96, [4, 24]))
    let part = try #require(try file("aligned", slice, view: turned, strides: true))
    #expect(part == (32, 24, [4, 24]))
    // A row is a column with the same bytes, and an empty tensor has none.
    let row = TensorSlice(starts: [1, 0], counts: [1, 6])
    #expect(try #require(try file("aligned", row, view: turned)) == (24, 24, []))
    #expect(try #require(try file("empty", view: turned)) == (0, 0, []))
  }

  @Test func `a cast tensor is a piece of the other type's length`() throws {
    let placed = try opened.placement("aligned", view: View(dtype: .bfloat16))
    guard case .piece(let piece) = placed else {
      Issue.record("not a piece")
      return
    }
    #expect(opened.checkpoint.byteCount(of: piece) == 48)
    #expect(try file("aligned", view: View(dtype: .float64), strides: true) == nil)
  }

  @Test func `a misaligned tensor is a piece unless less alignment will do`() throws {
    #expect(try file("odd") == nil)
    #expect(try file("wide") == nil)
    let options = PlacementOptions(alignment: 64)
    guard case .piece(let piece) = try opened.placement("cut", nil, options) else {
      Issue.record("not a piece")
      return
    }
    #expect(piece.alignment == 64)
  }

  @Test(arguments: [0, 1, 8, 64, 4096])
  func `a piece has the requested alignment, and at least 64`(_ alignment: Int) throws {
    let options = PlacementOptions(alignment: alignment, sealed: true)
    guard case .piece(let piece) = try opened.placement("aligned", nil, options) else {
      Issue.record("sealed bytes of a file")
      return
    }
    #expect(piece.alignment == max(64, alignment))
  }

  @Test func `strings are pieces and variants are refused`() throws {
    #expect(try file("text") == nil)
    let problem = #expect(throws: Problem.self) { try opened.placement("variant") }
    #expect(problem?.reason == .unsupported)
    #expect(problem?.tensor == "variant")
  }

  @Test func `numbers of the other byte order are pieces, single bytes are not`() throws {
    var writer = BundleWriter()
    writer.isBigEndian = true
    writer.add("a", dtype: 1, [2], floats(2))
    writer.add("b", dtype: 4, [2], [1, 2])
    let opened = try Opened(writer)
    guard case .piece = try opened.placement("a"), case .file = try opened.placement("b") else {
      Issue.record("big-endian floats of a file, or bytes of an arena")
      return
    }
  }

  @Test(arguments: [-8, -1, Int.min, Int.max, Int.max - 7, 1 << 62])
  func `an empty tensor has no bytes, whatever its offset`(_ offset: Int) throws {
    var writer = BundleWriter()
    writer.add("e", dtype: 1, [0, 3], [])
    writer.change("e") { $0.offset = offset }
    let opened = try Opened(writer)
    let placed = try opened.placement("e")
    guard case .file(_, let place, 0, []) = placed else {
      Issue.record("\(placed)")
      return
    }
    // The offset goes to the client as an unsigned number.
    #expect(place >= 0)
    #expect(try opened.bytes("e") == [])
  }
}
