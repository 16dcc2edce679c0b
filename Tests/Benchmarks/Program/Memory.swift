import CWarmstartFloor

extension Operation {
  private static let memoryByteCount = 256 << 20

  /// Copies memory; no daemon can load faster than that.
  static var copy: Operation {
    Operation(name: "memcpy", calls: 1, blocks: 3, byteCount: memoryByteCount) { _ in
      { floor_copy(memoryByteCount) }
    }
  }

  /// Reads as much memory and computes its CRC-32C.
  static var checksum: Operation {
    Operation(name: "crc32c", calls: 1, blocks: 3, byteCount: memoryByteCount) { _ in
      { floor_checksum(memoryByteCount) }
    }
  }
}
