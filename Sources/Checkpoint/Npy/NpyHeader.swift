import WarmstartTensorModel

/// The header of an `.npy` file: the type of its array, its shape and the order of its elements.
///
/// After the magic and a version, the header is the text of a Python dictionary:
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`. The parser knows these three keys
/// and the kinds of values that they have, and nothing else of Python.
///
/// Format: `numpy.lib.format`, versions 1.0 to 3.0.
struct NpyHeader {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// The longest text that is read; NumPy itself refuses more than 10,000 bytes.
  private static let maximumByteCount = 1 << 16
  /// The most axes that NumPy has (`NPY_MAXDIMS`).
  private static let maximumRank = 64

  private(set) var dtype = NpyDtype.missing
  private(set) var shape: [Int] = []
  private(set) var isFortranOrder = false
  /// The length of the header with its magic: where the elements start.
  let byteCount: Int

  /// Reads the header at the start of a range of a file.
  init(_ file: IndexFile, _ range: Range<Int>) throws(IndexError) {
    let start = range.lowerBound
    guard range.count >= 12 else {
      throw .malformed(
        at: start, "has \(range.count) bytes of an .npy file, expected a header of 12 or more")
    }
    let fixed = try file.read(start..<start + 12)
    guard fixed.starts(with: NpyHeader.magic) else {
      throw .malformed(at: start, "has other bytes, expected \\x93NUMPY")
    }
    guard (1...3).contains(fixed[6]), fixed[7] == 0 else {
      throw .unsupported(
        "has an .npy header of version \(fixed[6]).\(fixed[7]), expected 1.0 to 3.0")
    }
    let fixedByteCount = fixed[6] == 1 ? 10 : 12
    let textByteCount = fixed[6] == 1 ? fixed.uint16(at: 8) : fixed.uint32(at: 8)
    guard textByteCount <= range.count - fixedByteCount else {
      throw .malformed(
        at: start + 8,
        "has an .npy header of \(textByteCount) bytes, expected at most "
          + "\(range.count - fixedByteCount)")
    }
    guard textByteCount <= NpyHeader.maximumByteCount else {
      throw .unsupported(
        "has an .npy header of \(textByteCount) bytes, "
          + "expected at most \(NpyHeader.maximumByteCount)")
    }
    byteCount = fixedByteCount + textByteCount
    let textStart = start + fixedByteCount
    var text = NpyText(try file.read(textStart..<textStart + textByteCount), at: textStart)
    try parse(&text)
  }

  private mutating func parse(_ text: inout NpyText) throws(IndexError) {
    var missing: Set<String> = ["descr", "fortran_order", "shape"]
    try text.expect("{")
    while !text.skip("}") {
      let key = try text.string()
      guard missing.remove(key) != nil else {
        throw text.malformed(
          "has the key \(key.printable), "
            + "expected descr, fortran_order and shape once")
      }
      try text.expect(":")
      switch key {
      case "descr":
        guard !text.skip("[") else {
          throw .unsupported(
            "is a structured array, whose elements have fields: save each field as an array")
        }
        dtype = try NpyDtype(text.string())
      case "fortran_order": isFortranOrder = try text.bool()
      default: shape = try text.tuple(limit: NpyHeader.maximumRank)
      }
      guard text.skip(",") else {
        try text.expect("}")
        break
      }
    }
    try text.expectEnd()
    guard missing.isEmpty else {
      throw text.malformed(
        "has an .npy header without \(missing.sorted().joined(separator: ", ")), "
          + "expected all three keys")
    }
  }
}
