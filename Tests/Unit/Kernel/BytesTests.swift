import Testing
import WarmstartKernel

/// Bytes in spans: copied, compared, digested, reversed and stored within bounds.
@Suite struct BytesTests {
  /// Lets the body change bytes, and returns them.
  private func changed(
    _ bytes: [UInt8], _ body: (inout MutableRawSpan) -> Void
  ) -> [UInt8] {
    var bytes = bytes
    var span = bytes.mutableSpan
    var target = unsafe span.mutableBytes
    body(&target)
    return bytes
  }

  @Test func `a copy changes its run and nothing beside it`() {
    let copied = changed([0, 0, 0, 0]) { $0.copy([1, 2, 3].rawSpan, from: 1, to: 2, count: 2) }
    #expect(copied == [0, 0, 2, 3])
    #expect(changed([7]) { $0.copy([1].rawSpan, from: 1, to: 1, count: 0) } == [7])
  }

  @Test(arguments: [(2, 0, 2), (0, 3, 2), (-1, 0, 1), (0, -1, 1), (0, 0, -1), (.max, 0, 1)])
  func `a copy out of bounds ends the process`(_ from: Int, _ to: Int, _ count: Int) async {
    await #expect(processExitsWith: .failure) {
      [from = from as Int, to = to as Int, count = count as Int] in
      var bytes: [UInt8] = [0, 0, 0, 0]
      var span = bytes.mutableSpan
      var target = unsafe span.mutableBytes
      target.copy([1, 2, 3].rawSpan, from: from, to: to, count: count)
    }
  }

  @Test(arguments: [
    ([1, 2], [1, 2], true), ([1, 2], [1, 3], false), ([1, 2], [1], false), ([], [], true),
  ])
  func `bytes are equal if all of them are`(_ left: [UInt8], _ right: [UInt8], _ areEqual: Bool) {
    let found = left.rawSpan.equals(right.rawSpan)
    #expect(found == areEqual)
    let slice = (left + left)[left.count...]
    let foundInSlice = slice.rawSpan.equals(right.rawSpan)
    #expect(foundInSlice == areEqual)
  }

  @Test(arguments: [([2, 1], false), ([1, 2, 0], false), ([], false), ([1, 2], true)])
  func `equal bytes have one digest, and others another`(_ other: [UInt8], _ areEqual: Bool) {
    let slice: ArraySlice<UInt8> = [0, 1, 2][1...]
    let digest = slice.rawSpan.digest
    let others = other.rawSpan.digest
    #expect((digest == others) == areEqual)
  }

  @Test func `each element's bytes are reversed, within the run`() {
    let bytes: [UInt8] = [1, 2, 3, 4, 5, 6]
    #expect(changed(bytes) { $0.reverseBytes(in: 1..<5, width: 2) } == [1, 3, 2, 5, 4, 6])
    #expect(changed(bytes) { $0.reverseBytes(in: 0..<6, width: 3) } == [3, 2, 1, 6, 5, 4])
    #expect(changed(bytes) { $0.reverseBytes(in: 0..<6, width: 1) } == bytes)
    #expect(changed(bytes) { $0.reverseBytes(in: 2..<2, width: 8) } == bytes)
  }

  @Test(arguments: [(0..<3, 2), (0..<8, 4), (-2..<2, 2), (0..<4, 0)])
  func `half an element, or one out of bounds, ends the process`(
    _ range: Range<Int>, _ width: Int
  ) async {
    let (start, end) = (range.lowerBound, range.upperBound)
    await #expect(processExitsWith: .failure) {
      [start = start as Int, end = end as Int, width = width as Int] in
      var bytes: [UInt8] = [0, 0, 0, 0]
      var span = bytes.mutableSpan
      var target = unsafe span.mutableBytes
      target.reverseBytes(in: start..<end, width: width)
    }
  }

  @Test func `a number is stored low byte first, at any offset`() {
    let zeros = [UInt8](repeating: 0, count: 9)
    #expect(changed(zeros) { $0.store(0x0102, at: 1) } == [0, 2, 1, 0, 0, 0, 0, 0, 0])
    #expect(changed(zeros) { $0.store(-1, at: 0) } == [255, 255, 255, 255, 255, 255, 255, 255, 0])
  }

  @Test(arguments: [2, -1, .max])
  func `a number that does not fit ends the process`(_ offset: Int) async {
    await #expect(processExitsWith: .failure) { [offset = offset as Int] in
      var bytes = [UInt8](repeating: 0, count: 9)
      var span = bytes.mutableSpan
      var target = unsafe span.mutableBytes
      target.store(1, at: offset)
    }
  }
}
