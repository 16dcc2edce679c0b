import WarmstartTensorModel

/// An HDF5 file, which may lie within another file, as its structures are read.
///
/// A structure (a header, a node, a heap) lies where other structures say, so hostile ones may lie
/// on each other, or name each other in a circle. In a file as the format has it, each byte belongs
/// to one structure at most: the reader reads each place once, and no more bytes of structures than
/// the file has.
struct HDF5File {
  /// What is read at once; headers of neighbours are in one block.
  private static let blockByteCount = 4096
  private static let blockCount = 16
  /// The approximate memory of a number in a set.
  private static let visitByteCount = 32

  /// The memory that the structures take.
  var memory: ReaderMemory
  /// The length of the HDF5 file.
  let byteCount: Int

  private let file: IndexFile
  /// The offset of the HDF5 file.
  private let start: Int
  /// The bytes that structures may still have.
  private var left: Int
  private var visited: Set<Int> = []
  private var blocks: [(number: Int, bytes: [UInt8])?]
  private var collections: [Int: [Int: ArraySlice<UInt8>]] = [:]
  /// The memory that is taken until the file has been read.
  private var temporaryByteCount = 0

  /// Wraps the bytes of a file within a range, which must lie within the file.
  init(_ file: IndexFile, _ range: Range<Int>, _ memory: ReaderMemory) throws(IndexError) {
    (self.file, self.memory) = (file, memory)
    (start, byteCount, left) = (range.lowerBound, range.count, range.count)
    blocks = Array(repeating: nil, count: Self.blockCount)
    try takeUntilEnd(Self.blockCount * Self.blockByteCount)
  }

  /// The offset in the file that messages name for an address.
  func offset(of address: Int) -> Int { start + min(address, byteCount) }

  /// Whether bytes lie within the HDF5 file.
  func has(_ count: Int, at address: Int) -> Bool {
    address <= byteCount && count <= byteCount - address
  }

  /// Reads a structure, or a part of one that has not been read before.
  mutating func fields(
    at address: Int, count: Int, _ part: String
  ) throws(IndexError) -> HDF5Fields {
    guard has(count, at: address) else {
      throw .malformed(
        at: offset(of: address),
        "has \(part) of \(count) bytes at address \(address), expected an end within the "
          + "\(byteCount) bytes of the HDF5 file")
    }
    guard count <= left else {
      throw .malformed(
        at: offset(of: address),
        "has \(part) of \(count) bytes, and more structures than bytes, expected structures that "
          + "do not overlap")
    }
    left -= count
    return HDF5Fields(try bytes(at: address, count: count), at: start + address, part)
  }

  /// Notes that a structure at an address is read; throws if it was before.
  mutating func visit(_ address: Int, _ part: String) throws(IndexError) {
    try takeUntilEnd(Self.visitByteCount)
    guard visited.insert(address).inserted else {
      throw .malformed(
        at: offset(of: address), "has \(part) that others refer to twice, expected once")
    }
  }

  /// Takes memory that is given back when the whole file has been read.
  mutating func takeUntilEnd(_ byteCount: Int) throws(IndexError) {
    try memory.take(byteCount)
    temporaryByteCount += byteCount
  }

  /// Gives back all memory except that of what is kept.
  mutating func close() {
    memory.giveBack(temporaryByteCount)
    temporaryByteCount = 0
  }

  private mutating func bytes(
    at address: Int, count: Int
  ) throws(IndexError) -> ArraySlice<UInt8> {
    let number = address / Self.blockByteCount
    let within = address % Self.blockByteCount
    guard count <= Self.blockByteCount - within else {
      if count > Self.blockByteCount { try takeUntilEnd(count) }
      return try file.read(start + address..<start + address + count)[...]
    }
    let slot = number % Self.blockCount
    if let block = blocks[slot], block.number == number {
      return block.bytes[within..<within + count]
    }
    let block = number * Self.blockByteCount
    let bytes = try file.read(start + block..<start + min(byteCount, block + Self.blockByteCount))
    blocks[slot] = (number, bytes)
    return bytes[within..<within + count]
  }
}

// MARK: - Global heap

extension HDF5File {
  /// The memory of an object's place, approximately.
  private static let heapObjectByteCount = 64

  /// Reads an object of the global heap, which has the text of attributes; nil if it is missing.
  ///
  /// See "Global Heap" (III.E) of the format's specification.
  mutating func globalHeapObject(
    _ index: Int, inCollectionAt address: Int
  ) throws(IndexError) -> ArraySlice<UInt8>? {
    if let collection = collections[address] { return collection[index] }
    let part = "a global heap collection"
    let headerByteCount = 16
    var header = try fields(at: address, count: headerByteCount, part)
    try header.signature("GCOL")
    _ = try header.version(1...1)
    try header.skip(3)
    let start = header.offset
    let byteCount = try header.length()
    guard byteCount >= headerByteCount else {
      throw .malformed(
        at: start, "has \(part) of \(byteCount) bytes, expected at least \(headerByteCount)")
    }
    var body = try fields(
      at: address + headerByteCount, count: byteCount - headerByteCount, part)
    try takeUntilEnd(byteCount)
    var objects: [Int: ArraySlice<UInt8>] = [:]
    while body.remainingCount >= 16 {
      let index = try body.uint16()
      try body.skip(6)
      let byteCount = try body.length()
      if index == 0 { break }
      try takeUntilEnd(Self.heapObjectByteCount)
      // A copy: a slice would keep the block that it was read with in memory.
      let object = try body.take(byteCount).rest
      try takeUntilEnd(object.count)
      objects[index] = Array(object)[...]
      try body.skip(min(body.remainingCount, (8 - byteCount % 8) % 8))
    }
    collections[address] = objects
    return objects[index]
  }
}
