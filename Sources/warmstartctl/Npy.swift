import SystemPackage
import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel

/// A directory for variables, as files that NumPy loads.
///
/// A file gets its name only when it is complete. See NumPy's `numpy.lib.format`, version 1.0.
struct NpyDirectory {
  private let path: FilePath

  /// Opens a directory, or makes it if it is missing.
  ///
  /// Throws if the directory has `.npy` files, because the files of two runs would be mixed.
  init(_ name: String) throws(Failure) {
    path = FilePath(name)
    var earlier: FilePath.Component?
    do throws(Errno) {
      // Otherwise a file that exceeds its size limit would end the process and stay incomplete.
      try Process.ignoreSignalsOfFailedCalls([.fileTooLarge])
      guard !name.isEmpty else { throw .noSuchFileOrDirectory }
      if !File.exists(path) { try File.makeDirectory(path) }
      var listing = try Directory(opening: path)
      earlier = try listing.next { $0.hasSuffix(".npy") }
    } catch {
      throw Failure("use the directory", name, error)
    }
    guard let earlier else { return }
    throw Failure(
      .invalidRequest,
      "\(name) has .npy files already, such as \(earlier): remove them, or name a new directory")
  }

  /// The names of a variable's files: one, or two for strings.
  struct Written {
    /// The file of the elements or, for strings, of their offsets.
    let file: String
    /// The file of the bytes of all strings.
    var bytesFile: String?
  }

  /// Writes one variable from a checkpoint; `stem` begins the names of its files.
  func write(
    _ tensor: Tensor, from checkpoint: String, stem: String
  ) throws(Failure) -> Written {
    guard tensor.dtype == .string else {
      let header = Npy.header(tensor.dtype.npyName, tensor.shape.lengths)
      let name = stem + ".npy"
      try write(name, header, tensor.bytes, of: tensor, from: checkpoint)
      return Written(file: name)
    }
    guard let offsetsByteCount = Npy.offsetsByteCount(of: tensor.shape, in: tensor.byteCount) else {
      throw Failure(
        .connection, "malformed reply: \(tensor.byteCount) bytes of strings")
    }
    let written = Written(file: stem + ".offsets.npy", bytesFile: stem + ".bytes.npy")
    try write(
      written.file, Npy.header("<i8", [offsetsByteCount / 8]),
      tensor.bytes.extracting(first: offsetsByteCount), of: tensor, from: checkpoint)
    try write(
      stem + ".bytes.npy", Npy.header("|u1", [tensor.byteCount - offsetsByteCount]),
      tensor.bytes.extracting(droppingFirst: offsetsByteCount), of: tensor, from: checkpoint)
    return written
  }

  /// Writes one file with a range of a tensor's bytes.
  private func write(
    _ name: String, _ header: [UInt8], _ bytes: RawSpan, of tensor: Tensor,
    from checkpoint: String
  ) throws(Failure) {
    let final = path.appending(name)
    // The name is unique, because no other process has this id.
    let temporary = path.appending(".\(name).\(Process.id)")
    do throws(Errno) {
      // An earlier process with this id may have left a file.
      File.remove(temporary)
      try Process.removeWhenEnded(temporary)
      let file = try File(creatingNew: temporary)
      do throws(Errno) {
        try file.write(header.rawSpan)
        try file.write(bytes)
        try File.rename(temporary, to: final)
      } catch {
        File.remove(temporary)
        throw error
      }
      try Process.removeWhenEnded(nil)
    } catch .badAddress {
      // The bytes are pages of the checkpoint's file, which its owner may truncate.
      let message =
        "cannot write \(final.string): the checkpoint's file with tensor "
        + "\(tensor.tensor.inMessage) was truncated or became unreadable while it was written"
      let problem = Problem(
        .checkpointChanged, message, variable: tensor.variable.name, tensor: tensor.tensor)
      throw Failure([problem], about: checkpoint)
    } catch {
      throw Failure("write", final.string, error)
    }
  }
}

/// The format of NumPy's `.npy` files.
enum Npy {
  /// Returns the bytes before the elements, a multiple of 64, which aligns the mapped elements.
  static func header(_ dtype: String, _ shape: some Collection<Int>) -> [UInt8] {
    // A tuple of one element ends with a comma.
    let lengths = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = "{'descr': '\(dtype)', 'fortran_order': False, 'shape': (\(lengths)), }"
    // Magic, version and the text's length take ten bytes, and the newline one.
    let filling = (64 - (10 + text.utf8.count + 1) % 64) % 64
    text += String(repeating: " ", count: filling) + "\n"
    let length = UInt16(text.utf8.count)
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)]
      + Array(text.utf8)
  }

  /// Returns the number of bytes that the offsets of a tensor of strings take, one offset more than
  /// elements; nil if the tensor has fewer bytes.
  static func offsetsByteCount(of shape: Shape, in byteCount: Int) -> Int? {
    // Divided, since a malformed reply may have a shape whose offsets no number can count.
    guard let count = shape.elementCount, count < byteCount / 8 else { return nil }
    return 8 * (count + 1)
  }

  /// Returns the names of the files of variable `index` of `count`, without the extension.
  ///
  /// The index makes the names unique. The rest is for people; it has no character that is special
  /// in a path or on a terminal.
  static func stem(_ index: Int, of count: Int, _ name: Name) -> String {
    // Short enough for any extension within the 255 bytes of a file name; chosen, not tuned.
    let maximumByteCount = 100
    let number = String(index)
    let zeros = String(repeating: "0", count: String(count).count - number.count)
    let plain = name.bytes.prefix(maximumByteCount).map { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        byte
      default: UInt8(ascii: "_")
      }
    }
    return zeros + number + "-" + String(decoding: plain, as: UTF8.self)
  }
}

extension DataType {
  /// NumPy's name of the dtype in a file; where NumPy has none, raw bytes of the element's width.
  fileprivate var npyName: String {
    switch self {
    case .float32: "<f4"
    case .float64: "<f8"
    case .float16: "<f2"
    case .complex64: "<c8"
    case .complex128: "<c16"
    case .bool: "|b1"
    case .int8, .qint8: "|i1"
    case .uint8, .quint8: "|u1"
    case .int16, .qint16: "<i2"
    case .uint16, .quint16: "<u2"
    case .int32, .qint32: "<i4"
    case .uint32: "<u4"
    case .int64: "<i8"
    case .uint64: "<u8"
    case .bfloat16, .float8E5M2, .float8E4M3FN, .float8E4M3FNUZ, .float8E4M3B11FNUZ,
      .float8E5M2FNUZ, .int4, .uint4, .int2, .uint2, .float4E2M1FN, .float8E8M0FNU, .float4E2M1FNx2,
      .packed, .string, .resource, .variant:
      "|V\(byteCount ?? 0)"
    }
  }
}
