import CWarmstartISAL

/// A running CRC-32 as zip archives have it, at memory speed.
package struct CRC32: Sendable, Hashable {
  /// The checksum of the bytes so far; 0 for none.
  package private(set) var value: UInt32

  /// Continues after bytes whose checksum is given; 0 for none.
  package init(resuming value: UInt32 = 0) {
    self.value = value
  }

  /// Extends the checksum by bytes.
  package mutating func update(_ bytes: RawSpan) {
    // libisal only reads the bytes, which are all in the span.
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return }
      value = unsafe crc32_gzip_refl(
        value, base.assumingMemoryBound(to: UInt8.self), UInt64(buffer.count))
    }
  }
}
