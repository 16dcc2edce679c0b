import Testing
import WarmstartTable
import WarmstartTestSupport

@Suite struct SliceKeyTests {
  @Test func `the slices of a partitioned variable have the keys that TensorFlow gives them`() {
    let name: [UInt8] = [0, 0x73, 0x63, 0x6f, 0x70, 0x65, 0x2f, 0x70, 0x00, 0x01, 0x01, 0x02]
    #expect(key("scope/p", (0, 3), (0, 4)) == name + [0x80, 0x83, 0x80, 0x84])
    #expect(key("scope/p", (3, 2), (0, 4)) == name + [0x83, 0x82, 0x80, 0x84])
  }

  @Test func `numbers of two bytes are as TensorFlow writes them`() {
    #expect(
      Array(key("scope/q", (0, 3), (67, 33)).dropFirst(10))
        == [0x01, 0x02, 0x80, 0x83, 0xc0, 0x43, 0xa1])
  }

  @Test func `a whole axis is 0 and -1`() {
    #expect(
      key("x", (0, 3), (0, nil))
        == [0, 0x78, 0x00, 0x01, 0x01, 0x02, 0x80, 0x83, 0x80, 0x7f])
    #expect(key("x", (0, nil)) != key("x", (0, 4)))
  }

  @Test func `a scalar has a key of no extents`() {
    #expect(key("sc") == [0, 0x73, 0x63, 0x00, 0x01, 0x00])
  }

  @Test func `the bytes 00 and ff of a name are escaped`() {
    let name: [UInt8] = [0x61, 0x00, 0x62, 0xff, 0x63]
    #expect(
      SliceKey.encode(name: name[...], extents: [])
        == [0, 0x61, 0x00, 0xff, 0x62, 0xff, 0x00, 0x63, 0x00, 0x01, 0x00])
  }

  @Test(
    arguments: [
      (0, [0x80]), (3, [0x83]), (63, [0xbf]), (-1, [0x7f]), (-64, [0x40]), (64, [0xc0, 0x40]),
      (-65, [0x3f, 0xbf]), (67, [0xc0, 0x43]), (100, [0xc0, 0x64]), (8191, [0xdf, 0xff]),
      (8192, [0xe0, 0x20, 0x00]), (0x42_4242, [0xf0, 0x42, 0x42, 0x42]), (-0x800, [0x38, 0x00]),
      (1 << 54, [0xff, 0x40, 0, 0, 0, 0, 0, 0]),
      (1 << 55, [0xff, 0x80, 0x80, 0, 0, 0, 0, 0, 0]),
      (.max, [0xff, 0xc0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      (.min, [0x00, 0x3f, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    ] as [(Int, [UInt8])])
  func `a number of either sign takes as few bytes as hold it`(number: Int, code: [UInt8]) {
    // The name is empty: 00 00 01, then the rank's 01 01.
    #expect(Array(key("", (number, 0)).dropFirst(5).dropLast()) == code)
  }

  @Test func `codes sort as the numbers that they stand for`() {
    var random = SeededRandom(seed: 3)
    var numbers: [Int] = [.min, .max, 0]
    for bit in 0..<63 {
      let number = Int.random(in: 0..<(1 << bit), using: &random) | 1 << bit
      numbers += [number, -number, 1 << bit, -(1 << bit), (1 << bit) - 1, -(1 << bit) - 1]
    }
    let sorted = Set(numbers).sorted()
    for (lower, higher) in zip(sorted, sorted.dropFirst()) {
      let ascend = key("v", (lower, 0)).lexicographicallyPrecedes(key("v", (higher, 0)))
      #expect(ascend, "\(lower) and \(higher)")
    }
  }

  @Test func `the keys of a real checkpoint are found`() throws {
    let keys = try entries(of: Golden.bytes(of: "v2_partitioned/model.ckpt-7.index")).map(\.key)
    let axis0 = [(0, 4), (4, 3), (7, 3)].map { key("emb/axis0", $0, (0, 6)) }
    let axis1 = [(0, 18), (18, 18), (36, 17), (53, 17)].map { key("emb/axis1", (0, 4), $0) }
    let third = [(0, 3), (3, 2)].map { key("emb/axis2of3", (0, 7), (0, 3), $0) }
    let wide = stride(from: 0, to: 1000, by: 200).map { key("emb/int64", ($0, 200)) }
    for key in axis0 + axis1 + third + wide {
      #expect(keys.contains(key), "\(key)")
    }
  }

  private func key(_ name: String, _ extents: (start: Int, length: Int?)...) -> [UInt8] {
    SliceKey.encode(name: Array(name.utf8)[...], extents: extents)
  }
}
