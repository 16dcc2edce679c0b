import Kernel
import Table
package import TensorModel

/// The elements of a string tensor: one after the other, and where each ends.
///
/// In an arena they are 64-bit offsets, one more than elements, and then the bytes, as Arrow's
/// LargeBinary has them: element i is the bytes from offset i to offset i + 1.
package struct Strings: Sendable {
  private(set) var offsets = [0]
  private(set) var bytes: [UInt8] = []

  /// The room that the elements take in an arena.
  var byteCount: Int { offsets.count * 8 + bytes.count }

  mutating func append(_ element: ArraySlice<UInt8>) {
    bytes.append(contentsOf: element)
    offsets.append(bytes.count)
  }

  func element(_ index: Int) -> ArraySlice<UInt8> { bytes[offsets[index]..<offsets[index + 1]] }

  func write(to arena: inout MutableRawSpan, at start: Int) {
    for (index, offset) in offsets.enumerated() { arena.store(offset, at: start + index * 8) }
    arena.copy(bytes.rawSpan, from: 0, to: start + offsets.count * 8, count: bytes.count)
  }
}

extension Loading {
  /// The most bytes of one stored run of strings; they are decoded in memory.
  ///
  /// Chosen, not tuned.
  private static let maximumStringsByteCount = 1 << 30

  /// The memory that it takes to decode pieces of strings or V1 records, in bytes, at most about.
  package mutating func decodingByteCount(of pieces: [Piece]) throws(Problem) -> Int {
    if let records = checkpoint.records { return try recordByteCount(of: pieces, records) }
    var sum = 0
    for piece in pieces where checkpoint.catalog.dtype(piece.tensor) == .string {
      let runs = checkpoint.runs(of: piece.tensor, piece.slice)
      let perElement = piece.slice == nil && runs.count == 1 ? 16 : 80
      for position in runs {
        let bytes = max(0, checkpoint.stored[position].byteCount)
        let shape = checkpoint.box(ofRun: position, of: piece.tensor).shape
        // Each element has a byte at least. The bytes are held up to three times.
        let count = min(bytes, shape.elementCount ?? bytes)
        let (elements, overflow) = count.multipliedReportingOverflow(by: perElement)
        let (copies, overflows) = bytes.multipliedReportingOverflow(by: 3)
        let (part, exceeds) = elements.addingReportingOverflow(copies)
        let (next, isTooMuch) = sum.addingReportingOverflow(part)
        if overflow || overflows || exceeds || isTooMuch { return .max }
        sum = next
      }
    }
    return sum
  }

  /// Reads, checks and decodes the strings of a tensor or of a slice of it.
  mutating func decodeStrings(_ piece: Piece) throws(Problem) -> Strings {
    let tensor = piece.tensor
    let wanted = piece.slice ?? Slice(whole: checkpoint.catalog.shape(tensor))
    let positions = checkpoint.runs(of: tensor, piece.slice)
    if piece.slice == nil, positions.count == 1 { return try readStrings(positions[0], of: tensor) }
    // From which stored run, and which element of it, each wanted element comes.
    var sources: [Int: (strings: Int, element: Int)] = [:]
    var parts: [Strings] = []
    for position in positions {
      let box = checkpoint.box(ofRun: position, of: tensor)
      // Before its elements are told apart: the shape may claim any number of them, the bytes not.
      let strings = try readStrings(position, of: tensor)
      guard var runs = Runs(from: box, to: wanted, at: 0, width: 1) else { continue }
      while let run = runs.next() {
        for index in 0..<run.count {
          sources[run.target + index] = (parts.count, run.source + index)
        }
      }
      parts.append(strings)
    }
    var strings = Strings()
    for element in 0..<sources.count {
      guard let source = sources[element] else {
        throw checkpoint.problem(tensor, .slicesIncomplete, "does not have sufficient slices")
      }
      strings.append(parts[source.strings].element(source.element))
    }
    return strings
  }

  /// Reads, checks and decodes one stored run of strings: lengths, their checksum, then the bytes.
  ///
  /// The checksum of lengths is of their 32-bit values (64-bit for those that need it), not of the
  /// varints; the whole checksum goes on with that word and the bytes.
  mutating func readStrings(_ position: Int, of tensor: Int) throws(Problem) -> Strings {
    if let records = checkpoint.records {
      try checkIn()
      return try readStrings(position, of: tensor, records)
    }
    let run = checkpoint.stored[position]
    guard run.byteCount <= Loading.maximumStringsByteCount else {
      throw checkpoint.problem(
        tensor, .unsupported,
        "has \(run.byteCount) bytes of strings, expected at most \(Loading.maximumStringsByteCount)"
      )
    }
    guard let count = checkpoint.box(ofRun: position, of: tensor).shape.elementCount,
      run.byteCount >= count
    else {
      throw checkpoint.problem(
        tensor, .corrupt, "has an invalid size in the index: stored \(run.byteCount)")
    }
    reserveBuffer(run.byteCount)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(run.byteCount)
    while bytes.count < run.byteCount {
      try checkIn()
      let next = min(buffer.count, run.byteCount - bytes.count)
      try read(run, of: tensor, from: bytes.count, count: next)
      bytes.append(contentsOf: buffer[0..<next])
    }
    return try decode(bytes, count, run, of: tensor)
  }

  private func decode(
    _ bytes: [UInt8], _ count: Int, _ run: Checkpoint.StoredBytes, of tensor: Int
  ) throws(Problem) -> Strings {
    var strings = Strings()
    var checksum = Checksum()
    guard !bytes.isEmpty else {
      try expect(checksum, run, of: tensor)
      return strings
    }
    var lengths: [Int] = []
    lengths.reserveCapacity(count)
    var cursor = Cursor(bytes.rawSpan)
    do throws(TableError) {
      for _ in 0..<count {
        let length = try cursor.varint64()
        checksum.update(length: length, isBigEndian: checkpoint.isBigEndian)
        lengths.append(Int(clamping: length))
      }
      let word = try cursor.fixed32()
      let stored = checkpoint.isBigEndian ? word.byteSwapped : word
      guard stored == checksum.masked else {
        throw TableError.checksumMismatch(
          block: run.offset, stored: stored, computed: checksum.masked)
      }
      checksum.update(littleEndian: word)
    } catch {
      throw checkpoint.problem(tensor, .checksumMismatch, "has damaged string lengths: \(error)")
    }
    let start = cursor.offset
    checksum.update(bytes.rawSpan.extracting(start..<bytes.count))
    try expect(checksum, run, of: tensor)
    var end = start
    for length in lengths {
      guard length <= bytes.count - end else {
        throw checkpoint.problem(tensor, .corrupt, "has string lengths longer than its bytes")
      }
      strings.append(bytes[end..<end + length])
      end += length
    }
    guard end == bytes.count else {
      throw checkpoint.problem(
        tensor, .corrupt, "has \(bytes.count - start) bytes of strings, expected \(end - start)")
    }
    return strings
  }
}

extension Checksum {
  fileprivate mutating func update(length: UInt64, isBigEndian: Bool) {
    if let short = UInt32(exactly: length) {
      update(littleEndian: isBigEndian ? short.byteSwapped : short)
    } else {
      update(littleEndian: isBigEndian ? length.byteSwapped : length)
    }
  }
}
