import WarmstartTensorModel

/// Values made of a fuzzer's bytes: the same for the same bytes, the first of each kind once they
/// end.
struct Choices {
  private var bytes: ArraySlice<UInt8>
  /// Whether numbers may be any, not only small ones.
  private(set) var isExtreme = false

  init(_ bytes: [UInt8]) {
    self.bytes = bytes[...]
    isExtreme = flag()
  }

  mutating func below(_ bound: Int) -> Int { Int(bytes.popFirst() ?? 0) % bound }

  mutating func flag() -> Bool { below(2) == 1 }

  mutating func list<Element>(_ counts: Range<Int>, _ make: (inout Choices) -> Element) -> [Element]
  {
    (0..<counts.lowerBound + below(counts.count)).map { _ in make(&self) }
  }

  mutating func one<Element>(of elements: [Element]) -> Element { elements[below(elements.count)] }

  /// A number from -1 to 5, or one from where sums and products overflow.
  mutating func number() -> Int {
    let numbers = [
      2, 3, 4, 5, 0, 1, -1, .max, .min, .max - 1, 1 << 31, 1 << 32, 1 << 62, -2, 1 << 20, 1 << 40,
    ]
    return numbers[below(isExtreme ? numbers.count : 7)]
  }

  mutating func name() -> Name {
    let parts = ["a", "b", "/", "/part_", "0", "1", "part_", "a/", "-", "é", "\0", "10", "00"]
    return Name(list(1..<6) { $0.one(of: parts) }.joined())
  }

  mutating func dtype() -> DataType {
    one(of: [.float32, .float32, .float32, .float32, .string, .variant, .int8, .complex128])
  }

  mutating func shape() -> Shape { Shape(list(0..<4) { $0.number() }) }

  /// The length of an axis that a checkpoint may have.
  mutating func stored() -> Shape { Shape(shape().lengths.map { max($0, 0) }) }

  mutating func slice(_ rank: Int) -> TensorSlice {
    let numbers = (0..<rank).map { _ in (number(), number()) }
    return TensorSlice(starts: numbers.map(\.0), counts: numbers.map(\.1))
  }

  mutating func partitioner() -> Partitioner {
    switch below(4) {
    case 0: .counts(list(0..<4) { $0.number() })
    case 1: .fixedSize(shards: number(), axis: number())
    case 2:
      .variableAxisSize(
        maximumShardByteCount: number(), axis: number(), bytesPerStringElement: number(),
        maximumShards: flag() ? number() : nil)
    default:
      .minMaxVariable(
        maximumPartitions: number(), axis: number(), minimumSliceByteCount: number(),
        bytesPerStringElement: number())
    }
  }
}
