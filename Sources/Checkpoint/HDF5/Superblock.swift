import WarmstartTensorModel

/// The first structure of an HDF5 file, which says how the others are encoded, and where the root
/// group is.
///
/// h5py writes version 0 by default, and version 3 for `libver='latest'`. See "Disk Format: Level
/// 0A" (II.A) of the specification.
struct Superblock {
  /// The bytes that every HDF5 file begins with, or that follow its user block.
  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

  private static let part = "a superblock"

  /// The address of the root group's object header.
  let root: Int

  /// Reads the superblock of a file.
  init(_ file: inout HDF5File) throws(IndexError) {
    var head = try file.fields(at: 0, count: min(9, file.byteCount), Self.part)
    guard try head.take(8).rest.elementsEqual(Self.signature) else {
      throw .malformed(
        at: file.offset(of: 0), "has no signature of HDF5, expected one where the HDF5 file begins")
    }
    let version = try head.uint8()
    let end: Int
    switch version {
    case 0, 1: (root, end) = try Self.readOld(&file, version)
    case 2, 3: (root, end) = try Self.readNew(&file, version)
    default: throw .unsupported("has a superblock of version \(version), expected 0 to 3")
    }
    guard end <= file.byteCount else {
      let (expected, overflow) = file.offset(of: 0).addingReportingOverflow(end)
      throw .endsEarly(
        at: file.offset(of: file.byteCount), expected: overflow ? .max : expected)
    }
  }

  /// Reads what follows the version in versions 0 and 1.
  private static func readOld(
    _ file: inout HDF5File, _ version: UInt8
  ) throws(IndexError) -> (root: Int, end: Int) {
    let count = 87 + (version == 1 ? 4 : 0)
    var fields = try file.fields(at: 9, count: count, part)
    try fields.skip(4)
    try expectWidths(&fields)
    try fields.skip(1 + 2 + 2 + 4 + (version == 1 ? 4 : 0))
    try expectNoUserBlock(&fields)
    try fields.skip(8)
    let end = try fields.definedAddress()
    guard try fields.address() == nil else {
      throw .unsupported("is a part of several files (a multi or family file), expected one")
    }
    try fields.skip(8)
    return (try fields.definedAddress(), end)
  }

  /// Reads what follows the version in versions 2 and 3.
  private static func readNew(
    _ file: inout HDF5File, _ version: UInt8
  ) throws(IndexError) -> (root: Int, end: Int) {
    var fields = try file.fields(at: 9, count: 39, part)
    try LookupHash.check(Superblock.signature[...] + [version] + fields.rest, fields)
    try expectWidths(&fields)
    let flags = try fields.uint8()
    guard flags & 1 == 0 else {
      throw .unsupported(
        "is open for writing, or its writer crashed, expected a closed file; h5clear -s marks it "
          + "as closed")
    }
    try expectNoUserBlock(&fields)
    try fields.skip(8)
    let end = try fields.definedAddress()
    return (try fields.definedAddress(), end)
  }

  private static func expectWidths(_ fields: inout HDF5Fields) throws(IndexError) {
    let (offsets, lengths) = (try fields.uint8(), try fields.uint8())
    guard offsets == 8, lengths == 8 else {
      throw .unsupported(
        "has offsets of \(offsets) bytes and lengths of \(lengths), expected 8 for both")
    }
  }

  private static func expectNoUserBlock(_ fields: inout HDF5Fields) throws(IndexError) {
    guard try fields.address() == 0 else {
      throw .unsupported("has a base address that is not 0, expected a file without a user block")
    }
  }
}
