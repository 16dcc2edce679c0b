extension MutableRawSpan {
  /// Copies bytes of another span into this one; traps if either run is out of bounds.
  package mutating func copy(
    _ source: RawSpan, from sourceOffset: Int, to offset: Int, count: Int
  ) {
    precondition(count >= 0 && sourceOffset >= 0 && offset >= 0)
    precondition(sourceOffset <= source.byteCount && count <= source.byteCount - sourceOffset)
    precondition(offset <= byteCount && count <= byteCount - offset)
    guard count > 0 else { return }
    // Both runs were checked just above.
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { bytes in
        unsafe target.baseAddress?.advanced(by: offset).copyMemory(
          from: bytes.baseAddress.unsafelyUnwrapped.advanced(by: sourceOffset), byteCount: count)
      }
    }
  }
}
