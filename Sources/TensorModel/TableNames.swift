/// The tables that the names of a V1 checkpoint's tables announce: `m-00001-of-00003` is one of
/// three.
package struct TableNames {
  /// At most this many missing names are listed; chosen, not tuned.
  package static let maximumCount = 8

  /// The first names that are announced and missing, ascending.
  package private(set) var missing: [Name] = []
  /// The number of missing tables, listed or not.
  package private(set) var missingCount = 0

  /// Looks at the tables' names, without directories.
  package init(_ names: [Name]) {
    var numbers: [Series: Set<Int>] = [:]
    for name in names {
      guard let (series, number) = Series.parse(name.bytes) else { continue }
      numbers[series, default: []].insert(number)
    }
    for (series, found) in numbers.sorted(by: { $0.key.name(0) < $1.key.name(0) }) {
      missingCount += series.total - found.count
      var number = 0
      // Among the first numbers there are as many gaps as are listed, or all.
      while number < series.total, missing.count < TableNames.maximumCount {
        if !found.contains(number) { missing.append(series.name(number)) }
        number += 1
      }
    }
  }

  /// A sentence that lists the missing tables; nil if none is missing.
  package var message: String? {
    guard missingCount > 0 else { return nil }
    let list = missing.map(\.inMessage).joined(separator: ", ")
    let more = missingCount > missing.count ? " and \(missingCount - missing.count) more" : ""
    return "by the names of the other V1 tables, \(list)\(more) "
      + (missingCount == 1 ? "is missing" : "are missing")
  }
}

/// Tables that were written together: their names but for the number.
private struct Series: Hashable {
  let stem: ArraySlice<UInt8>
  let total: Int

  /// Reads `<stem>-<number>-of-<total>`, whose numbers are as TensorFlow writes them.
  static func parse(_ name: ArraySlice<UInt8>) -> (Series, number: Int)? {
    let dash = UInt8(ascii: "-")
    // The last three dashes stand before the number and around "of".
    let dashes = name.indices.reversed().lazy.filter { name[$0] == dash }.prefix(3)
    guard let first = Array(dashes).last, let shard = ShardName(name[(first + 1)...]) else {
      return nil
    }
    return (Series(stem: name[..<first], total: shard.total), shard.number)
  }

  func name(_ number: Int) -> Name {
    Name(stem + Array("-\(ShardName(number: number, total: total).text)".utf8))
  }
}
