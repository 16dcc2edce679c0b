import WarmstartTable

/// Where a block of a made file is.
struct Handle {
  var offset: Int
  var byteCount: Int

  var bytes: [UInt8] { varint(offset) + varint(byteCount) }
}

/// Makes the contents of one block; every part of it can be made wrong.
struct BlockBuilder {
  var restartInterval = 16
  private(set) var entries: [UInt8] = []
  private(set) var restarts: [Int] = [0]
  private(set) var lastKey: [UInt8] = []
  private var entryCount = 0

  init(restartInterval: Int = 16) {
    self.restartInterval = restartInterval
  }

  /// Appends an entry that shares as much of the previous key as possible, unless it is a restart.
  mutating func append(_ entry: Entry) {
    var shared = 0
    if entryCount > 0, entryCount % restartInterval == 0 {
      restarts.append(entries.count)
    } else {
      shared = zip(lastKey, entry.key).prefix { $0 == $1 }.count
    }
    append(shared: shared, suffix: Array(entry.key.dropFirst(shared)), value: entry.value)
    lastKey = entry.key
  }

  /// Appends an entry without regard to the previous key.
  mutating func append(shared: Int, suffix: [UInt8], value: [UInt8]) {
    entries += varint(shared) + varint(suffix.count) + varint(value.count) + suffix + value
    entryCount += 1
  }

  /// Appends bytes that need not be an entry.
  mutating func append(raw bytes: [UInt8]) {
    entries += bytes
  }

  func finish() -> [UInt8] { finish(restarts: restarts) }

  func finish(restarts: [Int]) -> [UInt8] {
    entries + restarts.flatMap(fixed32) + fixed32(restarts.count)
  }

  var byteCount: Int { entries.count + 4 * restarts.count + 4 }
}

/// Makes a file of blocks with correct checksums; the caller decides the rest.
struct FileBuilder {
  private(set) var bytes: [UInt8] = []

  mutating func append(block contents: [UInt8], type: UInt8 = 0) -> Handle {
    let handle = Handle(offset: bytes.count, byteCount: contents.count)
    let typed = contents + [type]
    bytes += typed + fixed32(Int(Checksum.masked(of: WarmstartTableTests.bytes(typed))))
    return handle
  }

  /// Appends an empty metaindex, an index of these keys and values, and the footer.
  mutating func finish(index: [Entry]) -> [UInt8] {
    var block = BlockBuilder(restartInterval: 1)
    for entry in index { block.append(entry) }
    return finish(indexContents: block.finish())
  }

  mutating func finish(indexContents: [UInt8], type: UInt8 = 0) -> [UInt8] {
    let metaindex = append(block: BlockBuilder().finish())
    let index = append(block: indexContents, type: type)
    return finish(footer: metaindex.bytes + index.bytes)
  }

  func finish(footer: [UInt8]) -> [UInt8] {
    bytes + footer + Array(repeating: 0, count: max(0, 40 - footer.count))
      + [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]
  }

  /// A file of one data block, for a test to change.
  static func file(ofBlock contents: [UInt8], type: UInt8 = 0, key: String = "~") -> [UInt8] {
    var file = FileBuilder()
    let handle = file.append(block: contents, type: type)
    return file.finish(index: [Entry(Array(key.utf8), handle.bytes)])
  }
}

/// Makes the table that TensorFlow would make of entries in order.
struct TableBuilder {
  var restartInterval = 16
  var blockByteCount = 262_144
  var isCompressed = false

  func table(of entries: [Entry]) -> [UInt8] {
    var file = FileBuilder()
    var index: [Entry] = []
    var block = BlockBuilder(restartInterval: restartInterval)
    for (position, entry) in entries.enumerated() {
      block.append(entry)
      let next = position + 1 < entries.count ? entries[position + 1].key : nil
      guard block.byteCount >= blockByteCount || next == nil else { continue }
      let handle = append(block.finish(), to: &file)
      index.append(Entry(separator(entry.key, next), handle.bytes))
      block = BlockBuilder(restartInterval: restartInterval)
    }
    return file.finish(index: index)
  }

  private func append(_ contents: [UInt8], to file: inout FileBuilder) -> Handle {
    guard isCompressed else { return file.append(block: contents) }
    return file.append(block: SnappyEncoder.encode(contents), type: 1)
  }

  /// The shortest key that this finds between two, as leveldb does.
  private func separator(_ last: [UInt8], _ next: [UInt8]?) -> [UInt8] {
    let shared = next.map { zip(last, $0).prefix { $0 == $1 }.count } ?? 0
    guard shared < last.count, last[shared] < 0xff else { return last }
    let short = Array(last[..<shared]) + [last[shared] + 1]
    guard let next else { return short }
    return short.lexicographicallyPrecedes(next) ? short : last
  }
}

func varint(_ number: Int) -> [UInt8] {
  var rest = UInt64(bitPattern: Int64(number))
  var bytes: [UInt8] = []
  while rest >= 0x80 {
    bytes.append(UInt8(rest & 0x7f) | 0x80)
    rest >>= 7
  }
  return bytes + [UInt8(rest)]
}

func fixed32(_ number: Int) -> [UInt8] {
  (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
}
