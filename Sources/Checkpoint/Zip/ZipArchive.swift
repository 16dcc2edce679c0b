import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

/// The entries of a zip archive, and where the bytes of each are in the file.
///
/// PyTorch, NumPy and Keras store entries without compression, so that the bytes of a tensor are a
/// range of the archive. The reader checks the directory before it uses it: each entry's local
/// header agrees with the directory, entries do not overlap, and none reaches into the directory.
/// It reads the directory and the local headers, and nothing of the entries themselves.
///
/// Format: PKWARE's APPNOTE.TXT 6.3.10.
struct ZipArchive {
  /// A named range of the archive.
  struct Entry {
    /// The path in the archive, with `/` between its parts.
    let name: Name
    /// Where the entry's bytes are in the file.
    let range: Range<Int>
    /// The CRC-32 of the bytes after decompression.
    let checksum: UInt32
    /// How the bytes are compressed; 0 if they are stored as they are.
    let method: Int

    /// Reads all bytes of an entry that is not compressed, and compares them with its checksum.
    ///
    /// A checksum of 0 is none; see `StoredChecksum`.
    func read(from file: IndexFile) throws(IndexError) -> [UInt8] {
      let bytes = try file.read(range)
      guard checksum != 0 else { return bytes }
      var calculated = CRC32()
      calculated.update(bytes.rawSpan)
      guard calculated.value == checksum else {
        throw .entryDamaged(name, stored: checksum, calculated: calculated.value)
      }
      return bytes
    }
  }

  /// The longest directory that is read, enough for a million entries; chosen, not tuned.
  private static let maximumDirectoryByteCount = 128 << 20
  private static let localByteCount = 30

  /// All entries, in the order of their bytes in the file.
  let entries: [Entry]
  private let positions: [Name: Int]
  /// The memory that this value takes, in bytes, approximately.
  let memoryByteCount: Int

  /// Reads and checks the directory of an archive.
  init(
    _ file: IndexFile, _ memory: inout ReaderMemory,
    checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) {
    let end = try ZipEnd(file)
    guard end.directory.count <= ZipArchive.maximumDirectoryByteCount else {
      throw .unsupported(
        "has a zip directory of \(end.directory.count) bytes, "
          + "expected at most \(ZipArchive.maximumDirectoryByteCount)")
    }
    // The names of entries share the directory's bytes. The number of entries is at most a 46th of
    // the directory's length.
    memoryByteCount =
      end.directory.count + end.entryCount
      * (MemoryLayout<Entry>.stride
        + 2 * (MemoryLayout<Name>.stride + MemoryLayout<Int>.stride))
    let headersByteCount = end.entryCount * MemoryLayout<ZipHeader>.stride
    try memory.take(memoryByteCount + headersByteCount)
    var headers = try ZipArchive.headers(file, end)
    headers.sort { $0.localOffset < $1.localOffset }
    var steps = CheckedSteps(checkIn)
    var entries: [Entry] = []
    entries.reserveCapacity(headers.count)
    var positions: [Name: Int] = [:]
    positions.reserveCapacity(headers.count)
    for (index, header) in headers.enumerated() {
      try steps.step()
      let next = index + 1 < headers.count ? headers[index + 1].localOffset : Int.max
      let range = try ZipArchive.range(
        of: header, in: file, before: min(next, end.directory.lowerBound))
      guard positions.updateValue(index, forKey: header.name) == nil else {
        throw .malformed(
          at: header.localOffset,
          "has a second zip entry \(header.name.inMessage), expected one")
      }
      entries.append(
        Entry(
          name: header.name, range: range, checksum: UInt32(truncatingIfNeeded: header.checksum),
          method: header.method))
    }
    memory.giveBack(headersByteCount)
    self.entries = entries
    self.positions = positions
  }

  /// Whether a file that starts with these bytes is a zip archive with an entry.
  static func recognizes(_ head: Span<UInt8>) -> Bool {
    let signature: [UInt8] = [UInt8(ascii: "P"), UInt8(ascii: "K"), 3, 4]
    return head.count >= 4 && (0..<4).allSatisfy { head[$0] == signature[$0] }
  }

  /// Finds an entry; nil if the archive has none of that name.
  func entry(_ name: Name) -> Entry? {
    positions[name].map { entries[$0] }
  }

  private static func headers(_ file: IndexFile, _ end: ZipEnd) throws(IndexError) -> [ZipHeader] {
    let directory = try file.read(end.directory)
    var headers: [ZipHeader] = []
    headers.reserveCapacity(end.entryCount)
    var start = 0
    while headers.count < end.entryCount {
      let header = try ZipHeader(directory, at: start, base: end.directory.lowerBound)
      start = header.end
      headers.append(header)
    }
    guard start == directory.count else {
      throw .malformed(
        at: end.directory.lowerBound + start,
        "has \(directory.count - start) bytes after the last header of the zip directory, "
          + "expected 0")
    }
    return headers
  }

  /// Finds the bytes of an entry behind its local header, which must agree with the directory.
  ///
  /// - Parameters:
  ///   - limit: Where the next entry or the directory starts.
  private static func range(
    of header: ZipHeader, in file: IndexFile, before limit: Int
  ) throws(IndexError) -> Range<Int> {
    let start = header.localOffset
    let fixedByteCount = localByteCount + header.name.bytes.count
    guard start <= limit, limit - start >= fixedByteCount else {
      throw .malformed(
        at: start,
        "has the zip entry \(header.name.inMessage), which overlaps with the next or the directory "
          + "at \(limit)")
    }
    let local = try file.read(start..<start + fixedByteCount)
    guard local.hasZipSignature(3, 4), local.uint16(at: 26) == header.name.bytes.count,
      Name(local[localByteCount...]) == header.name, local.uint16(at: 8) == header.method,
      local.uint16(at: 6) & 1 == 0
    else {
      throw .malformed(
        at: start,
        "has the local header of zip entry \(header.name.inMessage) with another name or method, "
          + "expected those in the directory")
    }
    let extraByteCount = local.uint16(at: 28)
    let left = limit - start - fixedByteCount
    guard extraByteCount <= left, header.storedByteCount <= left - extraByteCount else {
      throw .malformed(
        at: start,
        "has the zip entry \(header.name.inMessage) of \(header.storedByteCount) bytes and "
          + "\(extraByteCount) of extra fields, expected at most \(left) before the next entry "
          + "or the directory")
    }
    let dataStart = start + fixedByteCount + extraByteCount
    // A writer that does not know the lengths beforehand leaves them out, and sets bit 3.
    if local.uint16(at: 6) & 8 == 0 {
      var sizes = [local.uint32(at: 22), local.uint32(at: 18)]
      if sizes.contains(ZipSentinel.uint32) {
        let extra = try file.read(start + fixedByteCount..<dataStart)
        sizes = try ZipHeader.numbers(sizes, extra[...], at: start + fixedByteCount)
      }
      guard sizes == [header.byteCount, header.storedByteCount],
        local.uint32(at: 14) == header.checksum
      else {
        throw .malformed(
          at: start,
          "has the local header of zip entry \(header.name.inMessage) with the lengths \(sizes) or "
            + "another checksum, expected those in the directory, "
            + "\([header.byteCount, header.storedByteCount])")
      }
    }
    return dataStart..<dataStart + header.storedByteCount
  }
}

extension ZipArchive.Entry {
  /// Refuses an entry that is compressed.
  ///
  /// - Parameters:
  ///   - advice: How to save it without compression, for a message.
  func requireStored(_ advice: String) throws(IndexError) {
    guard method != 0 else { return }
    let kind = method == 8 ? "the deflated zip entry" : "compression method \(method) of zip entry"
    throw .unsupported("has \(kind) \(name.inMessage): \(advice)")
  }
}
