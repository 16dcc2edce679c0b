import WarmstartTensorModel

/// The header of an entry in a zip archive's directory.
///
/// Format: PKWARE's APPNOTE.TXT 6.3.10, section 4.3.12; section 4.5.3 for zip64.
struct ZipHeader {
  /// The length of a header without its name, extra fields and comment.
  static let byteCount = 46
  private static let zip64Field = 1

  let name: Name
  /// How the bytes are compressed; 0 if they are stored as they are.
  let method: Int
  let checksum: Int
  /// The number of bytes in the archive.
  let storedByteCount: Int
  /// The number of bytes after decompression.
  let byteCount: Int
  /// Where the local header of the entry starts.
  let localOffset: Int
  /// Where the next header starts in the directory.
  let end: Int

  /// Parses the header at an offset of the directory, which starts at `base` in the file.
  ///
  /// The name shares the bytes of the directory.
  init(_ directory: [UInt8], at start: Int, base: Int) throws(IndexError) {
    let offset = base + start
    guard directory.count - start >= ZipHeader.byteCount else {
      throw .malformed(
        at: offset,
        "has \(directory.count - start) bytes of the zip directory left, "
          + "expected a header of \(ZipHeader.byteCount)")
    }
    let header = directory[start..<start + ZipHeader.byteCount]
    guard header.hasZipSignature(1, 2) else {
      throw .malformed(at: offset, "has other bytes, expected the header of a zip entry")
    }
    let (nameByteCount, extraByteCount) = (header.uint16(at: 28), header.uint16(at: 30))
    let variableByteCount = nameByteCount + extraByteCount + header.uint16(at: 32)
    let left = directory.count - start - ZipHeader.byteCount
    guard variableByteCount <= left else {
      throw .malformed(
        at: offset,
        "has a zip entry with a name, fields and a comment of \(variableByteCount) bytes, "
          + "expected at most \(left)")
    }
    let nameStart = start + ZipHeader.byteCount
    let extraStart = nameStart + nameByteCount
    name = Name(directory[nameStart..<extraStart])
    end = nameStart + variableByteCount
    guard header.uint16(at: 8) & 1 == 0 else {
      throw .unsupported(
        "has the encrypted zip entry \(name.inMessage): save it without a password")
    }
    method = header.uint16(at: 10)
    checksum = header.uint32(at: 16)
    let numbers = try ZipHeader.numbers(
      [header.uint32(at: 24), header.uint32(at: 20), header.uint32(at: 42)],
      directory[extraStart..<extraStart + extraByteCount], at: base + extraStart)
    (byteCount, storedByteCount, localOffset) = (numbers[0], numbers[1], numbers[2])
    let disk = header.uint16(at: 34)
    guard disk == 0 || disk == ZipSentinel.uint16 else {
      throw .unsupported("is a zip archive in several parts: join them into one file")
    }
    guard method != 0 || storedByteCount == byteCount else {
      throw .malformed(
        at: offset,
        "has the stored zip entry \(name.inMessage) of \(storedByteCount) bytes, "
          + "expected \(byteCount)")
    }
  }

  /// Completes 32-bit numbers by the zip64 field, which has those that do not fit, in their order.
  ///
  /// - Parameters:
  ///   - extra: The extra fields of a header, which are at `offset` in the file.
  static func numbers(
    _ numbers: [Int], _ extra: ArraySlice<UInt8>, at offset: Int
  ) throws(IndexError) -> [Int] {
    guard numbers.contains(ZipSentinel.uint32) else { return numbers }
    var field = extra
    while true {
      guard field.count >= 4 else {
        throw .malformed(
          at: offset, "has a zip entry without a zip64 field, expected one for its lengths")
      }
      let count = field.uint16(at: 2)
      guard count <= field.count - 4 else {
        throw .malformed(
          at: offset + (field.startIndex - extra.startIndex),
          "has an extra field of \(count) bytes in a zip entry, expected at most \(field.count - 4)"
        )
      }
      if field.uint16(at: 0) == zip64Field {
        field = field.dropFirst(4).prefix(count)
        break
      }
      field = field.dropFirst(4 + count)
    }
    var completed = numbers
    for index in numbers.indices where numbers[index] == ZipSentinel.uint32 {
      guard field.count >= 8, let number = Int(exactly: field.uint64(at: 0)) else {
        throw .malformed(
          at: offset + (field.startIndex - extra.startIndex),
          "has a zip64 field that is too short or has a number above 2^63, "
            + "expected one of 8 bytes for each number that the header leaves out")
      }
      completed[index] = number
      field = field.dropFirst(8)
    }
    return completed
  }
}
