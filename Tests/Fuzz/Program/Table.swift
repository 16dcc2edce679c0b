import WarmstartKernel
import WarmstartTable

/// Walks any bytes as a table, twice.
func fuzzTable(_ bytes: [UInt8]) {
  let bytes = withRightChecksums(bytes)
  let walk = Walk(bytes)
  check(walk == Walk(bytes), "the same entries again")
  for (key, next) in zip(walk.keys, walk.keys.dropFirst()) {
    check(key.lexicographicallyPrecedes(next), "keys in ascending order")
  }
}

/// What a walk over a table finds, up to what is wrong.
private struct Walk: Equatable {
  var keys: [[UInt8]] = []
  var values: [[UInt8]] = []
  var failure: TableError?

  init(_ bytes: [UInt8]) {
    do throws(TableError) {
      var table = try TableReader(bytes.rawSpan)
      while try table.next() {
        keys.append(Array(table.key))
        values.append(Array(table.value))
      }
    } catch {
      failure = error
    }
  }
}

/// The bytes with checksums as they should be, which a fuzzer has no hope of guessing.
func withRightChecksums(_ bytes: [UInt8]) -> [UInt8] {
  var bytes = bytes
  // More blocks than that are not worth their time.
  for _ in 0..<32 {
    guard case .checksumMismatch(let start, let stored, let computed) = Walk(bytes).failure else {
      break
    }
    // Nobody says where the block ends: where the one is stored, behind bytes that have the other.
    guard
      let end = (start..<bytes.count - 3).first(where: {
        littleEndian(bytes[$0..<$0 + 4]) == stored
          && Checksum.masked(of: bytes.rawSpan.extracting(start..<$0)) == computed
      })
    else { fatalError("no checksum \(stored) behind the block at \(start)") }
    for index in 0..<4 { bytes[end + index] = UInt8(truncatingIfNeeded: computed >> (index * 8)) }
  }
  return bytes
}

private func littleEndian(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
}

extension [UInt8] {
  fileprivate init(_ bytes: RawSpan) {
    self = bytes.withUnsafeBytes { Array($0) }
  }
}
