import SystemPackage

/// What stands behind the stem of a shard's name: `00002-of-00004`.
///
/// Numbers have at least five digits, and no more zeros in front than that takes: other names are
/// not what TensorFlow opens. A V2 shard's stem is `<name>.data-`, a V1 shard's `<name>-`.
struct ShardName: Hashable {
  let number: Int
  let total: Int

  init(number: Int, total: Int) {
    self.number = number
    self.total = total
  }

  /// Reads a name; nil if it is not the stem and what a shard has behind it.
  init?(_ name: String, stem: String) {
    guard PathText.has(name, prefix: stem) else { return nil }
    let rest = Array(name.utf8.dropFirst(stem.utf8.count))
    // "-of-" has four bytes, and no digit.
    guard let dash = rest.firstIndex(of: UInt8(ascii: "-")),
      rest[dash...].starts(with: "-of-".utf8),
      let number = Self.number(rest[..<dash]), let total = Self.number(rest[(dash + 4)...]),
      number < total
    else { return nil }
    self.init(number: number, total: total)
  }

  /// The text behind the stem.
  var text: String { "\(Self.padded(number))-of-\(Self.padded(total))" }

  /// The pattern of all shards of the total, as TensorFlow writes it into state files.
  var pattern: String { "?????-of-\(Self.padded(total))" }

  /// The shards in the directory of a prefix, in no order.
  static func list(beside prefix: PathText, stem: String) throws(LocateError) -> [ShardName] {
    let directory = FilePath(prefix.directory.isEmpty ? "." : prefix.directory)
    let limit = CheckpointFiles.maximumFileCount
    var shards: [ShardName] = []
    _ = try Listing.names(in: directory, limit: limit) { name in
      if let shard = ShardName(name, stem: stem) { shards.append(shard) }
      return false
    }
    guard shards.count <= limit else {
      throw .tooManyFiles(path: directory.string, limit: limit)
    }
    return shards
  }

  /// The prefix whose data file a path names; nil if the path does not look so.
  static func prefix(ofDataFile path: PathText) -> String? {
    let marker = ".data-"
    let name = path.name
    for index in name.unicodeScalars.indices.reversed()
    where PathText.has(String(name.unicodeScalars[index...]), prefix: marker) {
      let base = String(name.unicodeScalars[..<index])
      return ShardName(name, stem: base + marker).map { _ in path.directory + base }
    }
    return nil
  }

  /// What a V1 shard's name has before its number, and the number; nil if the name is another's.
  static func split(table name: String) -> (base: String, shard: ShardName)? {
    for index in name.unicodeScalars.indices.reversed() where name.unicodeScalars[index] == "-" {
      let base = String(name.unicodeScalars[..<index])
      if let shard = ShardName(name, stem: base + "-") { return (base, shard) }
    }
    return nil
  }

  /// A number as `padded` writes it, or nil.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    let zero = UInt8(ascii: "0")
    guard digits.count == 5 || digits.count > 5 && digits.first != zero else { return nil }
    var value = 0
    for digit in digits {
      guard digit >= zero, digit <= UInt8(ascii: "9") else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflows) = product.addingReportingOverflow(Int(digit - zero))
      guard !overflow, !overflows else { return nil }
      value = sum
    }
    return value
  }

  private static func padded(_ value: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, 5 - digits.utf8.count)) + digits
  }
}
