import CWarmstartFloor

extension Operation {
  private static let memoryByteCount = 256 << 20

  /// What the machine's memory gives: a copy, of which no daemon can be faster.
  static var copy: Operation {
    Operation(name: "memcpy", calls: 1, blocks: 3, byteCount: memoryByteCount) { _ in
      { floor_copy(memoryByteCount) }
    }
  }

  /// The same, read and summed by CRC-32C.
  static var checksum: Operation {
    Operation(name: "crc32c", calls: 1, blocks: 3, byteCount: memoryByteCount) { _ in
      { floor_checksum(memoryByteCount) }
    }
  }
}
