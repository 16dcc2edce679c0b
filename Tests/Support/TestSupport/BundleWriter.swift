internal import Foundation

/// Writes V2 checkpoints as TensorFlow does.
///
/// Tests can make every part wrong.
///
/// It shares no code with the reader. Callers pass bytes little-endian and in C order, also for a
/// big-endian checkpoint. Dtypes have TensorFlow's numbers.
///
/// ```swift
/// var writer = BundleWriter()
/// writer.add("a", dtype: 1, [2, 3], bytes)
/// writer.add("b", dtype: 1, [4], more, slices: [[0..<2], [2..<4]], in: [0, 1])
/// writer.change("a") { $0.offset = -8 }
/// let bundle = try writer.write(to: directory)
/// ```
public struct BundleWriter: Sendable {
  /// A key of the index: a tensor's name, a slice's code, or empty for the header.
  public struct Key: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The key's bytes.
    public var bytes: [UInt8]

    /// Makes a key of bytes.
    public init(_ bytes: [UInt8]) {
      self.bytes = bytes
    }

    /// Makes a key of a text's UTF-8.
    public init(_ text: String) {
      bytes = Array(text.utf8)
    }

    /// Makes a key of a literal.
    public init(stringLiteral text: String) {
      self.init(text)
    }

    /// The key of a slice, in OrderedCode.
    public static func slice(of name: Key, _ extents: [Extent]) -> Key {
      Key(orderedCode(name.bytes, extents))
    }
  }

  /// One axis of a slice, as the index spells it.
  public struct Extent: Sendable, Hashable {
    /// The first index.
    public var start: Int
    /// The number of indices; nil for the whole axis.
    public var length: Int?

    /// Makes an extent.
    public init(_ start: Int, _ length: Int?) {
      self.start = start
      self.length = length
    }

    /// The extent that is a whole axis.
    public static let whole = Extent(0, nil)
  }

  /// The value of a tensor's or a slice's key.
  public struct Entry: Sendable, Hashable {
    /// TensorFlow's number.
    public var dtype = 0
    /// The lengths of the axes.
    public var shape: [Int] = []
    /// The data file.
    public var shard = 0
    /// The first byte in the data file.
    public var offset = 0
    /// The number of bytes.
    public var byteCount = 0
    /// The masked CRC-32C of the bytes.
    public var checksum: UInt32 = 0
    /// The slices that the tensor is stored in.
    public var slices: [[Extent]] = []
    /// Bytes to write instead of all the above.
    public var raw: [UInt8]?

    /// Makes an empty entry.
    public init() {}
  }

  /// The value of the empty key.
  public struct Header: Sendable, Hashable {
    /// The number of data files that the header states; nil for the real number.
    public var shardCount: Int?
    /// 1 for big-endian; nil to follow `isBigEndian`.
    public var endianness: Int?
    /// The writer's version.
    public var producer = 1
    /// The lowest version of a reader.
    public var minimumConsumer = 0
    /// The versions of readers that must refuse the checkpoint.
    public var badConsumers: [Int] = []
  }

  /// The files that `write` made.
  public struct Bundle: Sendable {
    /// The path by which users name the checkpoint.
    public let prefix: String
    /// The index file.
    public let index: String
    /// The data files, by number.
    public let shards: [String]
    /// The entries of the index.
    public let entries: [Key: Entry]

    /// Describes files that exist.
    public init(prefix: String, index: String, shards: [String], entries: [Key: Entry]) {
      (self.prefix, self.index, self.shards, self.entries) = (prefix, index, shards, entries)
    }
  }

  /// The header.
  public var header = Header()
  /// Whether numbers in the data files have their high byte first.
  public var isBigEndian = false
  /// The alignment to which every tensor's end is padded; TensorFlow's default is 1.
  public var alignment = 1
  /// How the index file is made.
  public var table = BundleTable()

  private var entries: [(key: Key, entry: Entry)] = []
  private var shards: [[(offset: Int, bytes: [UInt8])]] = []
  private var ends: [Int] = []

  /// Starts a checkpoint without tensors.
  public init() {}

  // MARK: Tensors

  /// Adds a tensor of fixed-size elements that is stored whole.
  public mutating func add(
    _ name: Key, dtype: Int, _ shape: [Int], _ bytes: [UInt8], in shard: Int = 0
  ) {
    var entry = append(ordered(bytes, dtype), to: shard)
    (entry.dtype, entry.shape) = (dtype, shape)
    entries.append((name, entry))
  }

  /// Adds a tensor of fixed-size elements that is stored in slices, each in its data file.
  public mutating func add(
    _ name: Key, dtype: Int, _ shape: [Int], _ bytes: [UInt8], slices: [[Extent]],
    in shards: [Int] = [0]
  ) {
    let width = DTypes.width[dtype] ?? 1
    addList(name, dtype, shape, slices)
    for (number, slice) in slices.enumerated() {
      let part = BundleWriter.positions(of: slice, in: shape).flatMap {
        bytes[$0 * width..<($0 + 1) * width]
      }
      add(
        .slice(of: name, slice), dtype: dtype, BundleWriter.lengths(of: slice, in: shape), part,
        in: shards[number % shards.count])
    }
  }

  /// Adds a tensor of strings, stored whole or in slices.
  public mutating func add(
    _ name: Key, strings: [[UInt8]], _ shape: [Int], slices: [[Extent]] = [],
    in shards: [Int] = [0]
  ) {
    guard slices.isEmpty else {
      addList(name, DTypes.string, shape, slices)
      for (number, slice) in slices.enumerated() {
        let part = BundleWriter.positions(of: slice, in: shape).map { strings[$0] }
        add(
          .slice(of: name, slice), strings: part, BundleWriter.lengths(of: slice, in: shape),
          in: [shards[number % shards.count]])
      }
      return
    }
    let (bytes, checksum) = encode(strings)
    var entry = append(bytes, to: shards[0])
    (entry.dtype, entry.shape, entry.checksum) = (DTypes.string, shape, checksum)
    entries.append((name, entry))
  }

  /// Adds a tensor of zeros, stored whole in a hole of the data file.
  public mutating func addZeros(_ name: Key, dtype: Int, _ shape: [Int], in shard: Int = 0) {
    let byteCount = shape.reduce(DTypes.width[dtype] ?? 1, *)
    var entry = append([], to: shard)
    (entry.dtype, entry.shape, entry.byteCount) = (dtype, shape, byteCount)
    entry.checksum = CRC32C.mask(CRC32C.ofZeros(byteCount))
    skip(byteCount, in: shard)
    entries.append((name, entry))
  }

  /// Leaves a hole in a data file, before the next tensor.
  public mutating func skip(_ byteCount: Int, in shard: Int = 0) {
    makeShard(shard)
    ends[shard] += byteCount
  }

  // MARK: Faults

  /// Changes an entry that was added.
  public mutating func change(_ key: Key, _ change: (inout Entry) -> Void) {
    for position in entries.indices where entries[position].key == key {
      change(&entries[position].entry)
    }
  }

  /// Adds an entry, which may be malformed.
  public mutating func insert(_ key: Key, _ entry: Entry) {
    entries.append((key, entry))
  }

  // MARK: Files

  /// Writes the files, and replaces older ones.
  @discardableResult
  public func write(to directory: String, named name: String = "model") throws -> Bundle {
    let prefix = "\(directory)/\(name)"
    try BundleFile.write([(0, index())], byteCount: nil, to: "\(prefix).index")
    var paths: [String] = []
    for shard in shards.indices {
      let path = "\(prefix).data-\(digits(shard))-of-\(digits(shards.count))"
      try BundleFile.write(shards[shard], byteCount: ends[shard], to: path)
      paths.append(path)
    }
    return Bundle(
      prefix: prefix, index: "\(prefix).index", shards: paths,
      entries: Dictionary(entries.map { ($0.key, $0.entry) }, uniquingKeysWith: { $1 }))
  }

  /// The bytes of the index file.
  public func index() -> [UInt8] {
    let head = header.bytes(shardCount: shards.count, isBigEndian: isBigEndian)
    let all =
      [(key: [], value: head)]
      + entries.map { (key: $0.key.bytes, value: $0.entry.bytes) }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    return table.bytes(of: all)
  }

  // MARK: Making

  private mutating func addList(
    _ name: Key, _ dtype: Int, _ shape: [Int], _ slices: [[Extent]]
  ) {
    var entry = Entry()
    (entry.dtype, entry.shape, entry.slices) = (dtype, shape, slices)
    entries.append((name, entry))
  }

  private mutating func makeShard(_ shard: Int) {
    while shards.count <= shard {
      shards.append([])
      ends.append(0)
    }
  }

  private mutating func append(_ bytes: [UInt8], to shard: Int) -> Entry {
    makeShard(shard)
    var entry = Entry()
    (entry.shard, entry.offset, entry.byteCount) = (shard, ends[shard], bytes.count)
    entry.checksum = CRC32C.mask(CRC32C.of(bytes))
    shards[shard].append((ends[shard], bytes))
    ends[shard] = (ends[shard] + bytes.count + alignment - 1) / alignment * alignment
    return entry
  }

  private func ordered(_ bytes: [UInt8], _ dtype: Int) -> [UInt8] {
    guard isBigEndian, let width = DTypes.swappedWidth[dtype], width > 1 else { return bytes }
    return stride(from: 0, to: bytes.count, by: width).flatMap {
      bytes[$0..<min(bytes.count, $0 + width)].reversed()
    }
  }

  /// Lengths as varints, the checksum of the lengths, and then all bytes.
  private func encode(_ strings: [[UInt8]]) -> (bytes: [UInt8], checksum: UInt32) {
    var bytes: [UInt8] = []
    var checksum: UInt32 = 0
    for string in strings {
      bytes += Proto.varint(string.count)
      let width = string.count > Int(UInt32.max) ? 8 : 4
      let length = Proto.fixed(string.count, width: width)
      checksum = CRC32C.extend(checksum, isBigEndian ? length.reversed() : length)
    }
    let word = Proto.fixed(Int(CRC32C.mask(checksum)), width: 4)
    let stored = isBigEndian ? word.reversed() : word
    checksum = CRC32C.extend(checksum, stored)
    let contents = strings.flatMap { $0 }
    return (bytes + stored + contents, CRC32C.mask(CRC32C.extend(checksum, contents)))
  }

  private func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }

  /// The lengths of a slice's axes.
  public static func lengths(of slice: [Extent], in shape: [Int]) -> [Int] {
    zip(slice, shape).map { $0.length ?? $1 }
  }

  /// The positions in C order of the elements of a slice.
  public static func positions(of slice: [Extent], in shape: [Int]) -> [Int] {
    var positions = [0]
    for (extent, length) in zip(slice, shape) {
      let range = extent.start..<extent.start + (extent.length ?? length)
      positions = positions.flatMap { position in range.map { position * length + $0 } }
    }
    return positions
  }
}

/// What the format says about dtypes.
public enum DTypes {
  /// The number of strings.
  public static let string = 7
  /// The bytes of an element, by the dtype's number; strings have no entry.
  public static let width: [Int: Int] = {
    var widths: [Int: Int] = [:]
    for (width, numbers) in [
      (1, [4, 6, 10, 11, 12] + Array(24...33)), (2, [5, 14, 15, 16, 17, 19]), (4, [1, 3, 13, 22]),
      (8, [2, 8, 9, 23]), (16, [18]),
    ] {
      for number in numbers { widths[number] = width }
    }
    return widths
  }()
  /// The width at which bytes are swapped: half an element for complex numbers.
  public static let swappedWidth: [Int: Int] = {
    var widths = width
    (widths[8], widths[18]) = (4, 8)
    return widths
  }()
}

// MARK: - Encoding

/// As much of protobuf's encoding as checkpoints need.
public enum Proto {
  /// The bytes of a number, seven bits in each, low bits first.
  public static func varint(_ number: Int) -> [UInt8] {
    var rest = UInt64(bitPattern: Int64(number))
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  static func fixed(_ number: Int, width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
  }

  /// A field that is a number, left out if it is zero.
  public static func number(_ field: Int, _ value: Int) -> [UInt8] {
    value == 0 ? [] : varint(field << 3) + varint(value)
  }

  /// A field that is a message or bytes.
  public static func message(_ field: Int, _ bytes: [UInt8]) -> [UInt8] {
    varint(field << 3 | 2) + varint(bytes.count) + bytes
  }
}

extension BundleWriter.Header {
  fileprivate func bytes(shardCount: Int, isBigEndian: Bool) -> [UInt8] {
    let bad = badConsumers.flatMap { Proto.varint($0) }
    let version =
      Proto.number(1, producer) + Proto.number(2, minimumConsumer)
      + (bad.isEmpty ? [] : Proto.message(3, bad))
    return Proto.number(1, self.shardCount ?? shardCount)
      + Proto.number(2, endianness ?? (isBigEndian ? 1 : 0)) + Proto.message(3, version)
  }
}

extension BundleWriter.Entry {
  /// The entry as the index stores it.
  public var bytes: [UInt8] {
    if let raw { return raw }
    let lengths = shape.flatMap { Proto.message(2, Proto.number(1, $0)) }
    var bytes = Proto.number(1, dtype) + Proto.message(2, lengths)
    bytes += Proto.number(3, shard) + Proto.number(4, offset) + Proto.number(5, byteCount)
    if checksum != 0 { bytes += [6 << 3 | 5] + Proto.fixed(Int(checksum), width: 4) }
    for slice in slices {
      bytes += Proto.message(7, slice.flatMap { Proto.message(1, $0.bytes) })
    }
    return bytes
  }
}

extension BundleWriter.Extent {
  var bytes: [UInt8] {
    // A length in a oneof is written even if it is zero.
    Proto.number(1, start) + (length.map { [2 << 3] + Proto.varint($0) } ?? [])
  }
}

/// 0, the name, the rank, then start and length of each axis, all in OrderedCode.
private func orderedCode(_ name: [UInt8], _ extents: [BundleWriter.Extent]) -> [UInt8] {
  var bytes: [UInt8] = [0]
  for byte in name {
    bytes += byte == 0 ? [0, 0xff] : byte == 0xff ? [0xff, 0] : [byte]
  }
  bytes += [0, 1]
  bytes += extents.isEmpty ? [0] : [1, UInt8(extents.count)]
  for extent in extents {
    bytes += signedCode(extent.length == nil ? 0 : extent.start)
    bytes += signedCode(extent.length ?? -1)
  }
  return bytes
}

/// The fewest bytes that hold the number at seven bits each, their count in the leading bits.
private func signedCode(_ number: Int) -> [UInt8] {
  var count = 1
  while count < 10 {
    let bound = Int128(1) << Int128(7 * count - 1)
    if Int128(number) >= -bound, Int128(number) < bound { break }
    count += 1
  }
  var bytes = (0..<count).reversed().map { UInt8(truncatingIfNeeded: Int128(number) >> (8 * $0)) }
  for bit in 0..<count { bytes[bit / 8] ^= 0x80 >> UInt8(bit % 8) }
  return bytes
}
