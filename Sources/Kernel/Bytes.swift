import CWarmstartLinux

extension MutableRawSpan {
  /// Copies bytes from another span into this one; traps if either run is out of bounds.
  package mutating func copy(
    _ source: RawSpan, from sourceOffset: Int, to offset: Int, count: Int
  ) {
    precondition(count >= 0 && sourceOffset >= 0 && offset >= 0)
    precondition(sourceOffset <= source.byteCount && count <= source.byteCount - sourceOffset)
    precondition(offset <= byteCount && count <= byteCount - offset)
    guard count > 0 else { return }
    // The preconditions checked both runs.
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { bytes in
        unsafe target.baseAddress?.advanced(by: offset).copyMemory(
          from: bytes.baseAddress.unsafelyUnwrapped.advanced(by: sourceOffset), byteCount: count)
      }
    }
  }
}

extension RawSpan {
  /// Whether both spans have the same bytes.
  package func equals(_ other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    return unsafe withUnsafeBytes { bytes in
      unsafe other.withUnsafeBytes { others in
        unsafe clinux_equal(bytes.baseAddress, others.baseAddress, bytes.count) == 1
      }
    }
  }

  /// Where the first byte is that is larger than another; nil if none is.
  package func firstOffset(above limit: UInt8) -> Int? {
    unsafe withUnsafeBytes { bytes in unsafe bytes.firstIndex { $0 > limit } }
  }

  /// A digest of the bytes (SipHash), with a key that each process makes for itself.
  ///
  /// A client that does not know the key cannot construct two runs of bytes with equal digests.
  package var digest: Int {
    var hasher = Hasher()
    unsafe withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
    return hasher.finalize()
  }
}

extension Array<UInt8> {
  /// Makes bytes that have any values, to be received into: nobody may read one before it is written.
  package init(unwritten count: Int) {
    self = unsafe Array(unsafeUninitializedCapacity: count) { $1 = count }
  }

  /// Copies a span's bytes.
  package init(_ bytes: RawSpan) {
    self = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  /// The bytes of the array.
  package var rawSpan: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      // A UInt8 has no padding, so every byte is initialized.
      unsafe span.bytes
    }
  }
}

extension ArraySlice<UInt8> {
  /// The bytes of the slice.
  package var rawSpan: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      unsafe span.bytes
    }
  }
}

extension MutableRawSpan {
  /// Reverses the bytes of each element in a run; traps if the run is not a multiple of the width.
  package mutating func reverseBytes(in range: Range<Int>, width: Int) {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    precondition(width > 0 && range.count % width == 0)
    guard width > 1 else { return }
    // The preconditions checked the run.
    unsafe withUnsafeMutableBytes { bytes in
      for start in stride(from: range.lowerBound, to: range.upperBound, by: width) {
        for offset in 0..<width / 2 {
          unsafe bytes.swapAt(start + offset, start + width - 1 - offset)
        }
      }
    }
  }

  /// Writes a number as eight bytes, low byte first; traps if they exceed the span.
  package mutating func store(_ value: Int, at offset: Int) {
    precondition(offset >= 0 && offset <= byteCount - 8)
    unsafe withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: Int64(value).littleEndian, toByteOffset: offset, as: Int64.self)
    }
  }
}
