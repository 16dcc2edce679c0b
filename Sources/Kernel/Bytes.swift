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

extension MutableRawSpan {
  /// Copies rows of one length from another span, each a step behind the one before; traps if any
  /// is out of bounds.
  ///
  /// - Parameters:
  ///   - source: The span to copy from.
  ///   - sourceOffset: Where the first row begins in the source.
  ///   - sourceStep: The bytes from one row to the next in the source.
  ///   - offset: Where the first row goes.
  ///   - step: The bytes from one row to the next here.
  ///   - byteCount: The length of a row.
  ///   - count: The number of rows.
  package mutating func copyRows(
    _ source: RawSpan, from sourceOffset: Int, step sourceStep: Int, to offset: Int, step: Int,
    byteCount rowByteCount: Int, count: Int
  ) {
    precondition(count > 0 && rowByteCount >= 0)
    let sourceEnd = sourceOffset + (count - 1) * sourceStep + rowByteCount
    let end = offset + (count - 1) * step + rowByteCount
    precondition(sourceOffset >= 0 && sourceStep >= 0 && sourceEnd <= source.byteCount)
    precondition(offset >= 0 && step >= 0 && end <= byteCount)
    guard rowByteCount > 0 else { return }
    // The preconditions checked all rows.
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { bytes in
        let from = unsafe bytes.baseAddress.unsafelyUnwrapped + sourceOffset
        let to = unsafe target.baseAddress.unsafelyUnwrapped + offset
        unsafe clinux_copy_rows(to, step, from, sourceStep, rowByteCount, count)
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
  /// Makes bytes that have any values, to be received into: nobody may read one before it is
  /// written.
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

  /// Passes a run of the array to the body, to be written; traps if the run is out of bounds.
  package mutating func write<Failure>(
    _ range: Range<Int>, _ body: (inout MutableRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    var span = mutableSpan
    // Any byte is a valid UInt8.
    var bytes = unsafe span.mutableBytes
    var run = bytes._mutatingExtracting(range)
    try body(&run)
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
    // The preconditions checked the run.
    unsafe withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      unsafe clinux_reverse_bytes(base + range.lowerBound, width, range.count / width)
    }
  }

  /// Copies rows as `copyRows` does, and reverses the bytes of each number of `width` bytes.
  package mutating func reverseRows(
    _ source: RawSpan, from sourceOffset: Int, step sourceStep: Int, to offset: Int, step: Int,
    byteCount rowByteCount: Int, width: Int, count: Int
  ) {
    precondition(width > 0 && rowByteCount % width == 0)
    guard rowByteCount > 0, count > 0 else { return }
    let sourceEnd = sourceOffset + (count - 1) * sourceStep + rowByteCount
    let end = offset + (count - 1) * step + rowByteCount
    precondition(sourceOffset >= 0 && sourceStep >= 0 && sourceEnd <= source.byteCount)
    precondition(offset >= 0 && step >= 0 && end <= byteCount)
    // The preconditions checked all rows.
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { bytes in
        unsafe clinux_reverse_rows(
          target.baseAddress.unsafelyUnwrapped + offset, step,
          bytes.baseAddress.unsafelyUnwrapped + sourceOffset, sourceStep, rowByteCount, width,
          count)
      }
    }
  }

  /// Converts rows of numbers from another span, as `clinux_cast` rounds them; traps if any is out
  /// of bounds.
  ///
  /// - Parameters:
  ///   - source: The span to convert from.
  ///   - sourceOffset: Where the first row begins in the source.
  ///   - sourceStep: The bytes from one row to the next in the source.
  ///   - format: The numbers' format in the source.
  ///   - isReversed: Whether the bytes of each number are in reverse in the source.
  ///   - offset: Where the first row goes.
  ///   - step: The bytes from one row to the next here.
  ///   - targetFormat: The numbers' format here.
  ///   - rowCount: The number of numbers in a row.
  ///   - count: The number of rows.
  package mutating func castRows(
    _ source: RawSpan, from sourceOffset: Int, step sourceStep: Int, _ format: FloatFormat,
    isReversed: Bool, to offset: Int, step: Int, _ targetFormat: FloatFormat, rowCount: Int,
    count: Int
  ) {
    guard rowCount > 0, count > 0 else { return }
    let sourceEnd = sourceOffset + (count - 1) * sourceStep + rowCount * format.byteCount
    let end = offset + (count - 1) * step + rowCount * targetFormat.byteCount
    precondition(sourceOffset >= 0 && sourceStep >= 0 && sourceEnd <= source.byteCount)
    precondition(offset >= 0 && step >= 0 && end <= byteCount)
    // The preconditions checked all rows.
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { bytes in
        unsafe clinux_cast_rows(
          target.baseAddress.unsafelyUnwrapped + offset, step, targetFormat.rawValue,
          bytes.baseAddress.unsafelyUnwrapped + sourceOffset, sourceStep, format.rawValue,
          isReversed ? 1 : 0, rowCount, count)
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

/// A format of floating-point numbers.
package enum FloatFormat: Int32, Sendable, CaseIterable {
  case float16, bfloat16, float32, float64

  /// The bytes of a number.
  package var byteCount: Int {
    switch self {
    case .float16, .bfloat16: 2
    case .float32: 4
    case .float64: 8
    }
  }
}
