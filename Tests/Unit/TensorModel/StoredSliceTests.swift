import Testing
import WarmstartTensorModel

/// Which parts may be read of tensors that a checkpoint stores in slices.
@Suite struct StoredSliceTests {
  private static func slice(_ starts: [Int], _ counts: [Int]) -> TensorSlice {
    TensorSlice(starts: starts, counts: counts)
  }

  private func outcome(
    _ slices: [TensorSlice], reading box: TensorSlice?, of shape: Shape = [4, 6]
  ) -> Outcome {
    let catalog = Model.catalog([("t", .float16, shape, slices)])
    guard let box else {
      return Outcome(["t": "w"], [Variable("w", dtype: .float16, shape: shape)], catalog)
    }
    let partition = Partition(of: "w", fullShape: shape, offset: box.starts)
    let variable = Variable("w/part_0", dtype: .float16, shape: box.shape, partition: partition)
    return Outcome(["t": "w"], [variable], catalog)
  }

  static let rows = [slice([0, 0], [3, 6]), slice([3, 0], [1, 6])]
  static let tiles = [
    slice([0, 0], [2, 4]), slice([0, 4], [2, 2]), slice([2, 0], [2, 3]), slice([2, 3], [2, 3]),
  ]

  @Test(arguments: [
    nil, slice([0, 0], [4, 6]), slice([1, 1], [2, 4]), slice([3, 0], [1, 6]),
    slice([0, 5], [4, 1]),
  ])
  func `slices that cover the tensor cover any box`(box: TensorSlice?) {
    #expect(outcome(Self.rows, reading: box).reasons.isEmpty)
    #expect(outcome(Self.tiles, reading: box).reasons.isEmpty)
    #expect(outcome(Self.tiles.reversed(), reading: box).reasons.isEmpty)
  }

  @Test func `a stored slice can be read even if others are missing`() {
    for (index, box) in Self.tiles.enumerated() {
      var others = Self.tiles
      others.remove(at: index)
      #expect(outcome([box], reading: box).reasons.isEmpty)
      #expect(outcome(others, reading: box).reasons == [.slicesIncomplete])
      #expect(outcome(others, reading: nil).reasons == [.slicesIncomplete])
    }
    #expect(outcome([Self.tiles[0]], reading: Self.slice([0, 0], [2, 3])).reasons.isEmpty)
    #expect(
      outcome([Self.tiles[0]], reading: Self.slice([0, 3], [2, 2])).reasons == [.slicesIncomplete])
  }

  @Test(arguments: [
    [slice([0, 0], [4, 6]), slice([0, 0], [4, 6])],
    [slice([0, 0], [3, 6]), slice([2, 0], [2, 6])],
    [slice([0, 0], [4, 1]), slice([3, 0], [1, 6])], tiles + [slice([1, 3], [1, 1])],
    [slice([1, 1], [1, 1])] + rows,
  ])
  func `stored slices that overlap refuse any read`(slices: [TensorSlice]) {
    #expect(outcome(slices, reading: nil).reasons == [.slicesOverlap])
    #expect(outcome(slices, reading: slices[0]).reasons == [.slicesOverlap])
    #expect(outcome(slices, reading: Self.slice([0, 5], [1, 1])).reasons == [.slicesOverlap])
  }

  @Test(arguments: [
    slice([0, 0], [5, 6]), slice([4, 0], [1, 6]), slice([-1, 0], [2, 6]), slice([0, 0], [4, -6]),
    slice([0], [4]), slice([0, 0, 0], [4, 6, 1]), slice([Int.max, 0], [Int.max, 6]),
    slice([0, Int.max], [4, 1]),
  ])
  func `a stored slice outside the tensor is damage`(slice: TensorSlice) {
    #expect(outcome([slice], reading: nil).reasons == [.corrupt])
    #expect(outcome(Self.rows + [slice], reading: Self.rows[0]).reasons == [.corrupt])
  }

  @Test func `a tensor whose elements cannot be counted is damage`() {
    let shape: Shape = [Int.max, 3]
    let row = Self.slice([0, 0], [1, 3])
    #expect(outcome([row], reading: nil, of: shape).reasons == [.corrupt])
  }

  @Test func `scalars are stored in one slice at most`() {
    let scalar = Self.slice([], [])
    #expect(outcome([scalar], reading: nil, of: []).reasons.isEmpty)
    #expect(outcome([scalar, scalar], reading: nil, of: []).reasons == [.slicesOverlap])
  }

  @Test func `each reader of an unsound tensor gets the error`() throws {
    let catalog = Model.catalog([("t", .float32, [4], [Self.slice([0], [2])])])
    let variables = try Model.partitions("w", [4], 4)
    let found = problems(["t": "w"], variables, catalog)
    #expect(found?.all.map(\.reason) == [.slicesIncomplete, .slicesIncomplete])
    #expect(found?.all.map(\.variable) == ["w/part_2", "w/part_3"])
    #expect(found?.first.message.contains("does not have sufficient slices") == true)
  }

  @Test(arguments: [0, 1, 2])
  func `ten thousand slices along any axis are checked in time`(axis: Int) {
    var counts = [1, 1, 1]
    counts[axis] = 10_000
    let slices = (0..<10_000).map { index in
      var starts = [0, 0, 0]
      starts[axis] = index
      return Self.slice(starts, [1, 1, 1])
    }
    #expect(outcome(slices.shuffled(), reading: nil, of: Shape(counts)).reasons.isEmpty)
    #expect(
      outcome(slices.dropLast() + [slices[7]], reading: nil, of: Shape(counts)).reasons
        == [.slicesOverlap])
  }

  @Test func `slices that take too much to compare are refused`() {
    // A staircase: on the first axis, each slice meets all before it.
    let count = 3000
    let slices = (0..<count).map { Self.slice([$0, count - 1 - $0], [count - $0, 1]) }
    #expect(
      outcome(slices, reading: nil, of: [count, count]).reasons.first == .invalidRequest)
  }
}
