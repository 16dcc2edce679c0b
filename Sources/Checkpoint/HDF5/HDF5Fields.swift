import WarmstartTensorModel

/// A run of bytes of an HDF5 file, from which a reader takes one field after the other.
///
/// Numbers are stored low byte first. A field that exceeds the run is malformed, and so is a number
/// that exceeds `Int`, because nothing in a file is that long.
struct HDF5Fields {
  /// What messages call the run: `an object header`.
  let part: String
  private let bytes: ArraySlice<UInt8>
  /// The offset in the file of the byte with index 0, which need not be in the run.
  private let origin: Int
  private var position: Int

  /// Wraps bytes whose first is at an offset in the file.
  init(_ bytes: ArraySlice<UInt8>, at offset: Int, _ part: String) {
    self.part = part
    self.bytes = bytes
    origin = offset - bytes.startIndex
    position = bytes.startIndex
  }

  /// The offset in the file of the next field.
  var offset: Int { origin + position }

  /// The number of bytes left.
  var remainingCount: Int { bytes.endIndex - position }

  /// The bytes left.
  var rest: ArraySlice<UInt8> { bytes[position...] }

  /// Takes a number of bytes, as a run of their own.
  mutating func take(_ count: Int, _ part: String? = nil) throws(IndexError) -> HDF5Fields {
    guard count <= remainingCount else {
      throw .malformed(
        at: offset, "has \(self.part) with \(remainingCount) bytes left, expected \(count) or more")
    }
    let start = position
    position += count
    return HDF5Fields(bytes[start..<position], at: origin + start, part ?? self.part)
  }

  /// Skips a number of bytes.
  mutating func skip(_ count: Int) throws(IndexError) {
    _ = try take(count)
  }

  /// Reads a number of 1 to 8 bytes.
  mutating func number(_ byteCount: Int) throws(IndexError) -> UInt64 {
    try take(byteCount).rest.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Reads a number of one byte.
  mutating func uint8() throws(IndexError) -> UInt8 { UInt8(truncatingIfNeeded: try number(1)) }

  /// Reads a number of two bytes.
  mutating func uint16() throws(IndexError) -> Int { Int(try number(2)) }

  /// Reads a number of four bytes.
  mutating func uint32() throws(IndexError) -> Int { Int(try number(4)) }

  /// Reads a length of 1 to 8 bytes.
  mutating func length(_ byteCount: Int = 8) throws(IndexError) -> Int {
    let start = offset
    let value = try number(byteCount)
    guard let length = Int(exactly: value) else {
      throw .malformed(at: start, "has the length \(value) in \(part), expected less than 2^63")
    }
    return length
  }

  /// Reads an address, which is relative to the start of the HDF5 file; nil for the undefined one.
  mutating func address() throws(IndexError) -> Int? {
    let start = offset
    let value = try number(8)
    if value == .max { return nil }
    guard let address = Int(exactly: value) else {
      throw .malformed(at: start, "has the address \(value) in \(part), expected less than 2^63")
    }
    return address
  }

  /// Reads an address, which must be defined.
  mutating func definedAddress() throws(IndexError) -> Int {
    let start = offset
    guard let address = try address() else {
      throw .malformed(at: start, "has an undefined address in \(part), expected a defined one")
    }
    return address
  }

  /// Reads bytes, which must be these.
  mutating func signature(_ expected: String) throws(IndexError) {
    let start = offset
    let found = try take(expected.utf8.count).rest
    guard found.elementsEqual(expected.utf8) else {
      let text = String(decoding: found, as: UTF8.self).printable
      throw .malformed(at: start, "has '\(text)' where \(part) begins, expected '\(expected)'")
    }
  }

  /// Reads a version number, which must be one of a range.
  mutating func version(_ expected: ClosedRange<UInt8>) throws(IndexError) -> UInt8 {
    let start = offset
    let version = try uint8()
    guard expected.contains(version) else {
      let last = expected.count > 1 ? " to \(expected.upperBound)" : ""
      throw .malformed(
        at: start, "has \(part) of version \(version), expected \(expected.lowerBound)\(last)")
    }
    return version
  }

  /// Finds text that ends with a NUL byte within a number of bytes; nil if it does not.
  func text(limit: Int) -> ArraySlice<UInt8>? {
    let found = rest.prefix(limit)
    return found.firstIndex(of: 0).map { found[..<$0] }
  }

  /// Reads text that ends with a NUL byte, and skips to the next multiple of a number of bytes from
  /// the text's start on.
  mutating func text(paddedTo multiple: Int = 1) throws(IndexError) -> ArraySlice<UInt8> {
    guard let end = rest.firstIndex(of: 0) else {
      throw .malformed(at: offset, "has text without an end in \(part), expected a NUL byte")
    }
    let text = rest[..<end]
    let count = text.count + 1
    try skip(count + (multiple - count % multiple) % multiple)
    return text
  }
}
