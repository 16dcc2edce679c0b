/// Writes zip archives, with any lie that a test wants.
struct ZipWriter {
  /// An entry, and what its two headers say of it.
  struct Entry {
    var name: String
    var bytes: [UInt8]
    var method = 0
    var flags = 0
    /// Replaces the name in the local header.
    var localName: String?
    /// Replaces the length in the directory.
    var byteCount: Int?
    /// Replaces the offset of the local header in the directory.
    var offset: Int?

    init(_ name: String, _ bytes: [UInt8] = [1, 2, 3]) {
      self.name = name
      self.bytes = bytes
    }
  }

  var entries: [Entry]
  var isZip64 = false
  var comment: [UInt8] = []
  /// Bytes in front of the first entry.
  var prefix: [UInt8] = []
  /// Replaces the number of entries in the end records.
  var entryCount: Int?
  /// What is added to the directory's length in the end records.
  var addedByteCount = 0

  init(_ entries: [Entry]) {
    self.entries = entries
  }

  /// The archive.
  func bytes() -> [UInt8] {
    var archive = prefix
    var directory: [UInt8] = []
    for entry in entries {
      let offset = entry.offset ?? archive.count
      let localName = Array((entry.localName ?? entry.name).utf8)
      let lengths = entry.flags & 8 == 0 ? [entry.bytes.count, entry.bytes.count] : [0, 0]
      archive += [0x50, 0x4b, 3, 4] + number(20, 2) + number(entry.flags, 2)
      archive += number(entry.method, 2) + number(0, 8) + number(lengths[0], 4)
      archive += number(lengths[1], 4) + number(localName.count, 2) + number(0, 2) + localName
      archive += entry.bytes
      directory += header(entry, at: offset)
    }
    let start = archive.count
    archive += directory
    let count = entryCount ?? entries.count
    let directoryByteCount = directory.count + addedByteCount
    if isZip64 {
      let end = archive.count
      archive += [0x50, 0x4b, 6, 6] + number(44, 8) + number(45, 4) + number(0, 8)
      archive += number(count, 8) + number(count, 8) + number(directoryByteCount, 8)
      archive += number(start, 8)
      archive += [0x50, 0x4b, 6, 7] + number(0, 4) + number(end, 8) + number(1, 4)
      archive += [0x50, 0x4b, 5, 6] + number(0, 4) + number(0xffff, 2) + number(0xffff, 2)
      archive += number(0xffff_ffff, 4) + number(0xffff_ffff, 4)
    } else {
      archive += [0x50, 0x4b, 5, 6] + number(0, 4) + number(count, 2) + number(count, 2)
      archive += number(directoryByteCount, 4) + number(start, 4)
    }
    return archive + number(comment.count, 2) + comment
  }

  private func header(_ entry: Entry, at offset: Int) -> [UInt8] {
    let byteCount = entry.byteCount ?? entry.bytes.count
    let name = Array(entry.name.utf8)
    let extra =
      isZip64
      ? number(1, 2) + number(24, 2) + number(byteCount, 8) + number(byteCount, 8)
        + number(offset, 8) : []
    let numbers = isZip64 ? [0xffff_ffff, 0xffff_ffff] : [byteCount, offset]
    var header: [UInt8] = [0x50, 0x4b, 1, 2] + number(20, 2) + number(20, 2)
    header += number(entry.flags, 2) + number(entry.method, 2) + number(0, 8)
    header += number(numbers[0], 4) + number(numbers[0], 4) + number(name.count, 2)
    header += number(extra.count, 2) + number(0, 2) + number(0, 8) + number(numbers[1], 4)
    return header + name + extra
  }
}

/// A little-endian number.
func number(_ number: Int, _ byteCount: Int) -> [UInt8] {
  (0..<byteCount).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
}
