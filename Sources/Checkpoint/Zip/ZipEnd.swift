/// The records at the end of a zip archive, which say where its directory is.
///
/// The end record is the last in the file, but for a comment. In archives that may exceed 4 GiB or
/// 65,535 entries, a zip64 end record and its locator precede it. PyTorch writes both records in
/// every archive. The reader expects the directory, the zip64 records and the end record to follow
/// each other without gaps, so an archive with other bytes in front of it is refused.
///
/// Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16.
struct ZipEnd {
  private static let byteCount = 22
  private static let locatorByteCount = 20
  private static let zip64ByteCount = 56
  private static let maximumCommentByteCount = 0xffff

  private static var inParts: IndexError {
    .unsupported("is a zip archive in several parts: join them into one file")
  }

  /// Where the headers of all entries are in the file.
  let directory: Range<Int>
  /// The number of headers in the directory.
  let entryCount: Int

  /// Reads the records from the end of a file.
  init(_ file: IndexFile) throws(IndexError) {
    let tailByteCount = min(
      file.byteCount, ZipEnd.byteCount + ZipEnd.maximumCommentByteCount)
    let tailStart = file.byteCount - tailByteCount
    let tail = try file.read(tailStart..<file.byteCount)
    guard let start = ZipEnd.start(in: tail) else {
      throw .malformed(
        at: file.byteCount,
        "has no end record of a zip archive, expected one: the file may be cut off")
    }
    let record = tail[start..<start + ZipEnd.byteCount]
    let end = tailStart + start
    let disk = record.uint16(at: 4)
    guard disk == record.uint16(at: 6), disk == 0 || disk == ZipSentinel.uint16 else {
      throw ZipEnd.inParts
    }
    guard let zip64 = try ZipEnd.zip64(in: file, before: end) else {
      self = try ZipEnd(
        entryCount: record.uint16(at: 10), countHere: record.uint16(at: 8),
        byteCount: record.uint32(at: 12), offset: record.uint32(at: 16), end: end)
      return
    }
    self = zip64
    let claims = [
      (record.uint16(at: 8), entryCount, ZipSentinel.uint16),
      (record.uint16(at: 10), entryCount, ZipSentinel.uint16),
      (record.uint32(at: 12), directory.count, ZipSentinel.uint32),
      (record.uint32(at: 16), directory.lowerBound, ZipSentinel.uint32),
    ]
    for (found, expected, sentinel) in claims where found != expected && found != sentinel {
      throw .malformed(
        at: end,
        "has the number \(found) in the end record, expected \(expected) as in the zip64 end record"
      )
    }
  }

  /// Checks that the directory ends where the record that describes it starts.
  private init(
    entryCount: Int, countHere: Int, byteCount: Int, offset: Int, end: Int
  ) throws(IndexError) {
    guard entryCount == countHere else {
      throw ZipEnd.inParts
    }
    guard offset <= end, end - offset == byteCount else {
      throw .malformed(
        at: end,
        "has a zip directory of \(byteCount) bytes at \(offset), "
          + "expected it to end at \(end)")
    }
    guard entryCount <= byteCount / ZipHeader.byteCount else {
      throw .malformed(
        at: end,
        "has \(entryCount) zip entries in a directory of \(byteCount) bytes, "
          + "expected \(ZipHeader.byteCount) bytes or more for each")
    }
    directory = offset..<end
    self.entryCount = entryCount
  }

  /// Finds the last end record whose comment ends with the file.
  private static func start(in tail: [UInt8]) -> Int? {
    guard tail.count >= byteCount else { return nil }
    for start in (0...tail.count - byteCount).reversed()
    where tail[start] == UInt8(ascii: "P") && tail[start...].hasZipSignature(5, 6) {
      let comment = tail[start...].uint16(at: 20)
      if comment == tail.count - byteCount - start { return start }
    }
    return nil
  }

  /// Reads the zip64 end record in front of the end record; nil if there is no locator of one.
  private static func zip64(
    in file: IndexFile, before end: Int
  ) throws(IndexError) -> ZipEnd? {
    guard end >= locatorByteCount else { return nil }
    let locatorStart = end - locatorByteCount
    let locator = try file.read(locatorStart..<end)
    guard locator.hasZipSignature(6, 7) else { return nil }
    guard locator.uint32(at: 4) == 0, locator.uint32(at: 16) <= 1 else {
      throw ZipEnd.inParts
    }
    let offset = locator.uint64(at: 8)
    guard locatorStart >= zip64ByteCount, offset <= UInt64(locatorStart - zip64ByteCount) else {
      throw .malformed(
        at: locatorStart,
        "has a zip64 locator with the offset \(offset), expected at most "
          + "\(locatorStart - zip64ByteCount)")
    }
    let start = Int(offset)
    let record = try file.read(start..<start + zip64ByteCount)
    guard record.hasZipSignature(6, 6) else {
      throw .malformed(at: start, "has other bytes, expected the zip64 end record")
    }
    guard record.uint64(at: 4) == UInt64(locatorStart - start - 12) else {
      throw .malformed(
        at: start,
        "has a zip64 end record of \(record.uint64(at: 4)) more bytes, expected "
          + "\(locatorStart - start - 12)")
    }
    guard record.uint32(at: 16) == 0, record.uint32(at: 20) == 0 else {
      throw ZipEnd.inParts
    }
    var numbers: [Int] = []
    for field in [24, 32, 40, 48] {
      guard let number = Int(exactly: record.uint64(at: field)) else {
        throw .malformed(
          at: start + field,
          "has the number \(record.uint64(at: field)), expected less than 2^63")
      }
      numbers.append(number)
    }
    return try ZipEnd(
      entryCount: numbers[1], countHere: numbers[0], byteCount: numbers[2], offset: numbers[3],
      end: start)
  }
}
