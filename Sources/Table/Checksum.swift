import CWarmstartISAL

/// A running CRC-32C (Castagnoli), at memory speed.
///
/// `update` may be called for one piece after another; `value` is the checksum of all bytes so far.
/// Files store checksums *masked*, so that a checksum over bytes that contain a checksum stays
/// meaningful.
package struct Checksum: Sendable, Hashable {
  /// The checksum of the bytes so far; 0 for none.
  package private(set) var value: UInt32

  /// Starts with no bytes.
  package init() {
    value = 0
  }

  /// Continues after earlier bytes, whose checksum is given.
  package init(resuming value: UInt32) {
    self.value = value
  }

  /// The checksum as files store it.
  package var masked: UInt32 { Checksum.mask(value) }

  /// Extends the checksum by bytes.
  package mutating func update(_ bytes: RawSpan) {
    // libisal wants a mutable pointer but only reads; every piece lies in the span.
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return }
      let start = unsafe UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: UInt8.self))
      var offset = 0
      while offset < buffer.count {
        let count = min(buffer.count - offset, Checksum.maximumPieceByteCount)
        value = unsafe ~crc32_iscsi(start + offset, CInt(count), ~value)
        offset += count
      }
    }
  }

  /// Extends the checksum by a number's bytes, low byte first.
  package mutating func update(littleEndian number: UInt32) {
    let bytes: InlineArray<4, UInt8> = .init { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    update(RawSpan(_elements: bytes.span))
  }

  /// Extends the checksum by a number's bytes, low byte first.
  package mutating func update(littleEndian number: UInt64) {
    let bytes: InlineArray<8, UInt8> = .init { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    update(RawSpan(_elements: bytes.span))
  }

  /// The masked checksum of bytes.
  package static func masked(of bytes: RawSpan) -> UInt32 {
    var checksum = Checksum()
    checksum.update(bytes)
    return checksum.masked
  }

  /// Masks a checksum as files store it.
  package static func mask(_ value: UInt32) -> UInt32 {
    (value >> 15 | value << 17) &+ maskDelta
  }

  /// Recovers a checksum from what files store.
  package static func unmask(_ masked: UInt32) -> UInt32 {
    let rotated = masked &- maskDelta
    return rotated << 15 | rotated >> 17
  }

  /// leveldb's constant; see `TableFormat`.
  private static let maskDelta: UInt32 = 0xa282_ead8

  /// libisal counts bytes in an `int`; 1 GiB is a round number that fits.
  private static let maximumPieceByteCount = 1 << 30
}

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
