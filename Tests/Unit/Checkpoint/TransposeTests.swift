import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// Pieces whose axes are in another order than the tensor's.
@Suite struct TransposeTests {
  /// The elements of a dense array in the order of a view's axes.
  private func transposed(
    _ bytes: [UInt8], _ shape: [Int], _ view: View, width: Int
  ) -> [UInt8] {
    var steps = shape
    var step = width
    for axis in shape.indices.reversed() {
      steps[axis] = step
      step *= shape[axis]
    }
    let (lengths, walked) = (view.variableOrder(shape), view.variableOrder(steps))
    var offsets = [0]
    for (length, step) in zip(lengths, walked) {
      offsets = offsets.flatMap { offset in (0..<length).map { offset + $0 * step } }
    }
    return offsets.flatMap { bytes[$0..<$0 + width] }
  }

  private func randomBytes(_ count: Int) -> [UInt8] {
    var random = SeededRandom(seed: 11)
    return (0..<count).map { _ in
      let word: UInt64 = random.next()
      return UInt8(truncatingIfNeeded: word)
    }
  }

  // Rows that end within a chunk that was read, rows longer than a chunk, tiles that the lengths do
  // not fill, and axes that are not next to each other.
  @Test(arguments: [
    ([700, 301], [1, 0]), ([3, 140_001], [1, 0]), ([1001, 1], [1, 0]), ([65, 33], [1, 0]),
    ([5, 130, 70], [2, 1, 0]), ([5, 130, 70], [0, 2, 1]), ([40, 9, 130], [1, 2, 0]),
    ([2, 3, 60, 70], [3, 2, 0, 1]),
  ])
  func `each element is at its place`(shape: [Int], axes: [Int]) throws {
    let view = View(axes: axes)
    for (dtype, width) in [(4, 1), (1, 4), (9, 8)] {
      for isBigEndian in [false, true] {
        let bytes = randomBytes(shape.reduce(width, *))
        var writer = BundleWriter()
        writer.isBigEndian = isBigEndian
        writer.add("x", dtype: dtype, shape, bytes)
        let opened = try Opened(writer)
        // Not compared by the macro, which would print megabytes.
        let isRight =
          try opened.bytes("x", view: view, PlacementOptions(sealed: true))
          == transposed(bytes, shape, view, width: width)
        #expect(isRight, "type \(dtype), big-endian: \(isBigEndian)")
      }
    }
  }

  @Test func `a part of a transposed tensor has its elements`() throws {
    let bytes = randomBytes(400 * 500 * 4)
    var writer = BundleWriter()
    writer.add("x", dtype: 1, [400, 500], bytes)
    let slice = TensorSlice(starts: [7, 100], counts: [390, 333])
    var part: [UInt8] = []
    for row in 7..<397 {
      let start = 4 * (row * 500 + 100)
      part += bytes[start..<start + 4 * 333]
    }
    let view = View(axes: [1, 0])
    let isRight =
      try Opened(writer).bytes("x", slice, view: view, PlacementOptions(sealed: true))
      == transposed(part, [390, 333], view, width: 4)
    #expect(isRight)
  }

  @Test func `transposed numbers are cast`() throws {
    // Of small whole numbers, a bfloat16 is the upper half of the float32.
    let shape = [300, 500]
    var (floats, halves): ([UInt8], [UInt8]) = ([], [])
    for number in 0..<shape[0] * shape[1] {
      let bits = Float32(number % 200).bitPattern
      let bytes: [UInt8] = [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: bits >> $0) }
      floats += bytes
      halves += bytes[2...]
    }
    var writer = BundleWriter()
    writer.add("x", dtype: 1, shape, floats)
    let view = View(axes: [1, 0], dtype: .bfloat16)
    let isRight =
      try Opened(writer).bytes("x", view: view, PlacementOptions(sealed: true))
      == transposed(halves, shape, view, width: 2)
    #expect(isRight)
  }
}
