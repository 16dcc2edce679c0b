import Testing
import WarmstartTensorModel
import WarmstartTestSupport

/// Finds the stored slices that meet a box, looking at few.
@Suite struct SliceIndexTests {
  /// Cuts a box at random places into about this many, in any order.
  private func tiling(of whole: TensorSlice, _ count: Int, _ random: inout SeededRandom)
    -> [TensorSlice]
  {
    var tiles = [whole]
    for _ in 0..<count {
      let cut = tiles.remove(at: random.below(tiles.count))
      let axis = random.below(cut.starts.count)
      guard cut.counts[axis] > 1 else {
        tiles.append(cut)
        continue
      }
      let length = 1 + random.below(cut.counts[axis] - 1)
      var (left, starts, right) = (cut.counts, cut.starts, cut.counts)
      (left[axis], starts[axis]) = (length, cut.starts[axis] + length)
      right[axis] -= length
      tiles += [
        TensorSlice(starts: cut.starts, counts: left), TensorSlice(starts: starts, counts: right),
      ]
    }
    return tiles.shuffled(using: &random)
  }

  private func box(in shape: [Int], _ random: inout SeededRandom) -> TensorSlice {
    let starts = shape.map { random.below($0) }
    return TensorSlice(starts: starts, counts: zip(starts, shape).map { random.below($1 - $0 + 1) })
  }

  @Test(arguments: [[50], [1, 40], [9, 11], [4, 5, 6], [3, 3, 3, 3]], 0..<10 as Range<UInt64>)
  func `the index finds the same slices of a box as a full search`(
    _ shape: [Int], seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed)
    var tiles = tiling(of: TensorSlice(whole: Shape(shape)), 60, &random)
    // Neither gaps nor slices that overlap make a difference.
    tiles.removeLast(random.below(tiles.count))
    tiles += (0..<random.below(5)).map { _ in box(in: shape, &random) }
    let index = try #require(SliceIndex(tiles))
    for _ in 0..<100 {
      let box = box(in: shape, &random)
      let found = index.candidates(for: box).filter { box.intersects(tiles[$0]) }.sorted()
      #expect(found == tiles.indices.filter { box.intersects(tiles[$0]) })
    }
  }

  @Test(arguments: [0, 1, 2])
  func `each of 4,000 partitions looks at few of 4,000 slices`(axis: Int) throws {
    let slices = (0..<4000).map { number in
      var starts = [0, 0, 0]
      starts[axis] = number * 2
      return TensorSlice(starts: starts, counts: [2, 2, 2])
    }
    let index = try #require(SliceIndex(slices.reversed()))
    let compared = slices.reduce(0) { $0 + index.candidates(for: $1).count }
    #expect(compared == 4000)
  }

  @Test func `slices of no axes have no index, and numbers near the end of Int do not trap`() {
    #expect(SliceIndex([TensorSlice(starts: [], counts: [])]) == nil)
    let odd = [(Int.max, Int.max), (.min, .min), (.min, .max), (0, .max)].map {
      TensorSlice(starts: [$0.0], counts: [$0.1])
    }
    for box in odd { #expect(SliceIndex(odd)?.candidates(for: box) != nil) }
  }
}
