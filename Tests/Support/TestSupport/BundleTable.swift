internal import Foundation

/// Writes the sorted string table of an index file.
///
/// Tests can make parts of it wrong.
public struct BundleTable: Sendable {
  /// The number of entries from one key that is stored whole to the next.
  public var restartInterval = 16
  /// The number of bytes at which a block ends.
  public var blockByteCount = 262_144
  /// The data block in which one byte is changed after its checksum was computed.
  public var damagedBlock: Int?

  /// Starts a table that is right.
  public init() {}

  /// The bytes of a table with entries in the given order.
  public func bytes(of entries: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
    var file: [UInt8] = []
    var handles: [(key: [UInt8], value: [UInt8])] = []
    var block = Block(restartInterval: restartInterval)
    for (position, entry) in entries.enumerated() {
      block.append(entry.key, entry.value)
      guard block.bytes.count >= blockByteCount || position == entries.count - 1 else { continue }
      let start = file.count
      handles.append((entry.key, append(block.finish(), to: &file)))
      if damagedBlock == handles.count - 1 { file[start + block.bytes.count / 2] ^= 1 }
      block = Block(restartInterval: restartInterval)
    }
    let metaindex = append(Block(restartInterval: 1).finish(), to: &file)
    var index = Block(restartInterval: 1)
    for handle in handles { index.append(handle.key, handle.value) }
    let footer = metaindex + append(index.finish(), to: &file)
    file += footer + Array(repeating: 0, count: 40 - footer.count)
    file += [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]
    return file
  }

  /// Appends an uncompressed block, and returns its handle.
  private func append(_ contents: [UInt8], to file: inout [UInt8]) -> [UInt8] {
    let handle = Proto.varint(file.count) + Proto.varint(contents.count)
    let checksum = CRC32C.mask(CRC32C.extend(CRC32C.of(contents), [0]))
    file += contents
    file.append(0)
    file += Proto.fixed(Int(checksum), width: 4)
    return handle
  }

  private struct Block {
    let restartInterval: Int
    var bytes: [UInt8] = []
    var restarts = [0]
    var last: [UInt8] = []
    var count = 0

    init(restartInterval: Int) {
      self.restartInterval = restartInterval
    }

    mutating func append(_ key: [UInt8], _ value: [UInt8]) {
      var shared = 0
      if count > 0, count % restartInterval == 0 {
        restarts.append(bytes.count)
      } else {
        while shared < min(key.count, last.count), key[shared] == last[shared] { shared += 1 }
      }
      bytes += Proto.varint(shared) + Proto.varint(key.count - shared) + Proto.varint(value.count)
      bytes += key[shared...]
      bytes += value
      last = key
      count += 1
    }

    func finish() -> [UInt8] {
      bytes + restarts.flatMap { Proto.fixed($0, width: 4) } + Proto.fixed(restarts.count, width: 4)
    }
  }
}

/// The tests' own CRC-32C, one byte at a time.
public enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 0 ? 0 : 0x82f6_3b78) }
  }

  /// The checksum of bytes.
  public static func of(_ bytes: [UInt8]) -> UInt32 { extend(0, bytes) }

  /// The checksum of earlier bytes and these.
  public static func extend(_ value: UInt32, _ bytes: [UInt8]) -> UInt32 {
    var state = ~value
    table.withUnsafeBufferPointer { table in
      bytes.withUnsafeBufferPointer { bytes in
        for byte in bytes { state = table[Int((state ^ UInt32(byte)) & 0xff)] ^ state >> 8 }
      }
    }
    return ~state
  }

  /// The checksum of a number of zeros, in logarithmic time.
  ///
  /// A zero byte multiplies the state by x^8 in the field of polynomials, so n of them multiply it
  /// by x^8n, which repeated squaring computes.
  public static func ofZeros(_ byteCount: Int) -> UInt32 {
    var state = UInt32.max
    var power: UInt32 = 0x0080_0000
    var rest = byteCount
    while rest > 0 {
      if rest & 1 == 1 { state = multiply(state, power) }
      power = multiply(power, power)
      rest >>= 1
    }
    return ~state
  }

  /// The product of two polynomials whose highest bit is that of x^0.
  private static func multiply(_ left: UInt32, _ right: UInt32) -> UInt32 {
    var product: UInt32 = 0
    var shifted = right
    for bit in 0..<UInt32(32) {
      if left & (0x8000_0000 >> bit) != 0 { product ^= shifted }
      shifted = shifted >> 1 ^ (shifted & 1 == 0 ? 0 : 0x82f6_3b78)
    }
    return product
  }

  /// The checksum as files store it.
  public static func mask(_ value: UInt32) -> UInt32 {
    (value >> 15 | value << 17) &+ 0xa282_ead8
  }
}

/// Files for tests: sparse ones, and changes in place.
public enum BundleFile {
  /// Writes runs of bytes, with holes between them, up to a length or the last run's end.
  public static func write(
    _ runs: [(offset: Int, bytes: [UInt8])], byteCount: Int?, to path: String
  ) throws {
    try Data().write(to: URL(filePath: path))
    let file = try FileHandle(forWritingTo: URL(filePath: path))
    defer { try? file.close() }
    for run in runs {
      try file.seek(toOffset: UInt64(run.offset))
      try file.write(contentsOf: Data(run.bytes))
    }
    if let byteCount { try file.truncate(atOffset: UInt64(byteCount)) }
  }

  /// Writes bytes over those of a file, in place.
  public static func overwrite(_ path: String, at offset: Int, _ bytes: [UInt8]) throws {
    let file = try FileHandle(forUpdating: URL(filePath: path))
    defer { try? file.close() }
    try file.seek(toOffset: UInt64(offset))
    try file.write(contentsOf: Data(bytes))
  }

  /// Changes all bits of one byte of a file, in place.
  public static func flip(_ path: String, at offset: Int) throws {
    let file = try FileHandle(forUpdating: URL(filePath: path))
    defer { try? file.close() }
    try file.seek(toOffset: UInt64(offset))
    let byte = try file.read(upToCount: 1)?.first ?? 0
    try file.seek(toOffset: UInt64(offset))
    try file.write(contentsOf: Data([~byte]))
  }

  /// Cuts a file, or extends it with a hole.
  public static func truncate(_ path: String, to byteCount: Int) throws {
    let file = try FileHandle(forUpdating: URL(filePath: path))
    defer { try? file.close() }
    try file.truncate(atOffset: UInt64(byteCount))
  }
}
