import CWarmstartGcrypt

/// A running SHA-256, which `sha256sum` prints of the same bytes.
///
/// `update` may be called for one piece after another. See libgcrypt's manual, "Hashing".
@safe
package struct SHA256: ~Copyable {
  /// The bytes of a digest.
  package static let byteCount = 32

  private static let hasStarted = cgcrypt_start() != 0
  private let handle: gcry_md_hd_t

  /// Starts with no bytes; nil if libgcrypt has no memory for it.
  package init?() {
    var made: gcry_md_hd_t?
    guard Self.hasStarted, unsafe gcry_md_open(&made, CInt(GCRY_MD_SHA256.rawValue), 0) == 0,
      let made = unsafe made
    else { return nil }
    unsafe handle = unsafe made
  }

  deinit {
    unsafe gcry_md_close(handle)
  }

  /// Extends the digest by bytes.
  package mutating func update(_ bytes: RawSpan) {
    // libgcrypt reads within the span only.
    unsafe bytes.withUnsafeBytes { unsafe gcry_md_write(handle, $0.baseAddress, $0.count) }
  }

  /// The digest of all bytes.
  package consuming func finish() -> [UInt8] {
    // The handle owns the bytes of the result until it is closed.
    let bytes = unsafe gcry_md_read(handle, CInt(GCRY_MD_SHA256.rawValue))
    return unsafe Array(UnsafeBufferPointer(start: bytes, count: Self.byteCount))
  }
}
