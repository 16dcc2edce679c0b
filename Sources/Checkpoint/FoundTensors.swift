import WarmstartTensorModel

/// A tensor as a format's reader found it.
struct FoundTensor {
  var name: Name
  var dtype: DataType
  var shape: [Int]
  /// Where the first element is in the file; 0 if the tensor has no elements.
  var offset: Int
  /// The length of all elements: the product of the shape times the width.
  var byteCount: Int
  /// The elements from one index to the next on each axis, if they are not in C order without gaps.
  ///
  /// No two elements share a place: each step exceeds what all shorter ones span together. The
  /// reader has checked that all elements lie in the file.
  var strides: [Int] = []
  /// What all stored bytes of the tensor are compared with.
  var checksum: StoredChecksum = .none
  /// Whether the elements are in the byte order that is not this machine's.
  var isBigEndian = false
  /// Why the tensor is only listed, as a predicate; nil if it can be served.
  var refusal: String?

  /// The tensor as one that is only listed, without its bytes.
  func listed(_ words: String) -> FoundTensor {
    FoundTensor(name: name, dtype: dtype, shape: shape, offset: 0, byteCount: 0, refusal: words)
  }
}

/// The tensors that readers find in files without an index of TensorFlow's, as they find them.
///
/// Flat, because 100,000 tensors are common. `checkpoint` puts them in order and checks their
/// names.
struct FoundTensors {
  /// The most axes of a shape, as in TensorFlow.
  static let maximumRank = BundleReader.maximumRank

  /// The memory that a tensor takes here and in the checkpoint, beside its name and its axes.
  private static let tensorByteCount = 160

  private var names = NameList()
  private var shapes = ShapeList()
  private var dtypes: [DataType] = []
  private var stored: [Checkpoint.StoredBytes] = []
  private var bigEndian: Set<Int> = []
  private var steps: [Int: [Int]] = [:]
  private var refusals: [Int: String] = [:]
  /// The names of layers, if the files have them.
  var layers = LayerNames()
  /// The number of the file whose tensors are added.
  var file: Int32 = 0

  /// The number of tensors.
  var count: Int { dtypes.count }

  /// The memory that a tensor takes, in bytes, approximately.
  static func memoryByteCount(ofName nameByteCount: Int, axes: Int) -> Int {
    // A name is in the list, in the sorted one, and perhaps in a message.
    tensorByteCount + 3 * nameByteCount + 16 * axes
  }

  /// Adds a tensor whose elements lie in C order at an offset of the file.
  mutating func append(
    _ name: Span<UInt8>, _ dtype: DataType, _ lengths: Span<Int>, at offset: Int, byteCount: Int,
    checksum: StoredChecksum = .none
  ) {
    names.append(name)
    shapes.append(lengths)
    dtypes.append(dtype)
    stored.append(
      Checkpoint.StoredBytes(
        shard: file, checksum: checksum, offset: offset, byteCount: byteCount))
  }

  /// Adds a tensor.
  mutating func append(_ tensor: FoundTensor) {
    let width = tensor.dtype.byteCount ?? 1
    if tensor.isBigEndian { bigEndian.insert(count) }
    if let words = tensor.refusal { refusals[count] = words }
    var byteCount = tensor.byteCount
    if !tensor.strides.isEmpty {
      let steps = tensor.strides.map { $0 * width }
      self.steps[count] = steps
      byteCount = Checkpoint.spannedByteCount(tensor.shape, steps, width: width)
    }
    append(
      tensor.name.bytes.span, tensor.dtype, tensor.shape.span, at: tensor.offset,
      byteCount: byteCount, checksum: tensor.checksum)
  }

  /// Puts the tensors in order.
  ///
  /// - Parameters:
  ///   - fileCount: The number of files that hold tensors.
  ///   - fileName: What messages call a file.
  /// - Throws: `malformed` if two tensors have one name.
  func checkpoint(
    _ format: CheckpointFormat, fileCount: Int, _ fileName: (Int32) -> String
  ) throws(IndexError) -> Checkpoint {
    let order = NameOrder(names)
    if order.hasEqual { throw duplicate(order.indexes, fileName) }
    guard count <= Catalog.maximumCount else {
      throw .tooManyTensors(limit: Catalog.maximumCount)
    }
    var catalog = Catalog(separator: format.separator)
    catalog.reserveCapacity(
      count, nameByteCount: names.bytes.count, axisCount: shapes.lengths.count)
    for index in order.indexes {
      catalog.append(names.span(index), dtypes[index], shapes.span(index))
    }
    catalog.index()
    if !refusals.isEmpty {
      for (position, index) in order.indexes.enumerated() {
        if let words = refusals[index] {
          catalog.refuse(position, "of \(fileName(stored[index].shard)) \(words)")
        }
      }
    }
    var positions: [Int: Int] = [:]
    if !bigEndian.isEmpty || !steps.isEmpty {
      for (position, index) in order.indexes.enumerated()
      where steps[index] != nil || bigEndian.contains(index) { positions[index] = position }
    }
    return Checkpoint(
      format, catalog: catalog, shardCount: fileCount,
      bigEndian: .some(Set(bigEndian.compactMap { positions[$0] })), layers: layers,
      stored: order.indexes.map { stored[$0] }, storedEnds: count == 0 ? [] : Array(1...count),
      steps: Dictionary(
        uniqueKeysWithValues: steps.compactMap { index, steps in
          positions[index].map { ($0, steps) }
        }))
  }

  private func duplicate(_ order: [Int], _ fileName: (Int32) -> String) -> IndexError {
    for (before, after) in zip(order, order.dropFirst()) where names[before] == names[after] {
      let (first, second) = (fileName(stored[before].shard), fileName(stored[after].shard))
      return .tensorMalformed(
        first == second ? "is in \(first) twice" : "is in \(first) and in \(second)", names[before])
    }
    // Not reached: the list has two names that are equal.
    return .malformed(at: 0, "has two tensors of one name")
  }
}

/// Memory that a reader takes for what it keeps.
///
/// Readers take it in small steps, for each tensor. It is reserved in larger ones, because each
/// reservation asks the store's accounts.
struct ReaderMemory {
  /// The least that is reserved at once; chosen, not tuned.
  private static let step = 1 << 18

  private let reserve: (Int) throws(Problem) -> Void
  private var taken = 0
  private var reserved = 0

  /// Begins without memory; `reserve` gets what is taken in all, and throws to refuse it.
  init(_ reserve: @escaping (Int) throws(Problem) -> Void) {
    self.reserve = reserve
  }

  /// Takes memory, before it is allocated.
  mutating func take(_ byteCount: Int) throws(IndexError) {
    let (sum, overflow) = taken.addingReportingOverflow(byteCount)
    guard !overflow, sum < .max - sum / 8 - ReaderMemory.step else {
      throw .tooLarge(limit: .max)
    }
    if sum > reserved {
      let all = sum + max(ReaderMemory.step, sum / 8)
      do { try reserve(all) } catch { throw .stopped(error) }
      reserved = all
    }
    taken = sum
  }

  /// Gives back memory that is no longer used, for what is taken next.
  mutating func giveBack(_ byteCount: Int) {
    taken -= byteCount
  }
}
