import SystemPackage
import WarmstartClient
import WarmstartKernel
import WarmstartTensorModel

/// A directory that gets variables as files that NumPy loads.
///
/// A file has its name only when it is whole. See NumPy's `numpy.lib.format`, version 1.0.
struct NpyDirectory {
  private let path: FilePath

  /// Opens a directory, and makes it if it is missing.
  ///
  /// Refuses one that has such files already: nobody could tell which are whose.
  init(_ name: String) throws(Failure) {
    path = FilePath(name)
    var earlier: FilePath.Component?
    do throws(Errno) {
      // Or a file that exceeds the limit of its size would end the process and leave a part of it.
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

  /// The names of the files that a variable went to: one, or for strings two.
  struct Written {
    /// The elements; of strings, the offsets.
    let file: String
    /// The bytes of all strings.
    var bytesFile: String?
  }

  /// Writes one variable from a checkpoint; `stem` is what its files' names begin with.
  func write(
    _ tensor: Tensor, from checkpoint: String, stem: String
  ) throws(Failure) -> Written {
    guard tensor.dtype == .string else {
      let header = Npy.header(tensor.dtype.npyName, tensor.shape.lengths)
      let name = stem + ".npy"
      try write(name, header, tensor.bytes, of: tensor, from: checkpoint)
      return Written(file: name)
    }
    // One offset more than elements, then the bytes.
    guard let count = tensor.shape.elementCount, tensor.byteCount >= 8 * (count + 1) else {
      throw Failure(
        .connection, "malformed reply: \(tensor.byteCount) bytes of strings")
    }
    let offsetsByteCount = 8 * (count + 1)
    let written = Written(file: stem + ".offsets.npy", bytesFile: stem + ".bytes.npy")
    try write(
      written.file, Npy.header("<i8", [count + 1]),
      tensor.bytes.extracting(first: offsetsByteCount), of: tensor, from: checkpoint)
    try write(
      stem + ".bytes.npy", Npy.header("|u1", [tensor.byteCount - offsetsByteCount]),
      tensor.bytes.extracting(droppingFirst: offsetsByteCount), of: tensor, from: checkpoint)
    return written
  }

  /// Writes one file with some of a tensor's bytes.
  private func write(
    _ name: String, _ header: [UInt8], _ bytes: RawSpan, of tensor: Tensor,
    from checkpoint: String
  ) throws(Failure) {
    let final = path.appending(name)
    // Not only random names are unique: nobody else has this process's id.
    let temporary = path.appending(".\(name).\(Process.id)")
    do throws(Errno) {
      // What a process that had this id before may have left.
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
      // The bytes are pages of the checkpoint's file, which anybody with the right to may change.
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

/// The format of NumPy's files.
enum Npy {
  /// The bytes before the elements: a multiple of 64, so that the elements are aligned when mapped.
  static func header(_ dtype: String, _ shape: some Collection<Int>) -> [UInt8] {
    // A tuple of one has a comma.
    let lengths = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = "{'descr': '\(dtype)', 'fortran_order': False, 'shape': (\(lengths)), }"
    // Magic, version and the text's length take ten bytes, the line's end one.
    let filling = (64 - (10 + text.utf8.count + 1) % 64) % 64
    text += String(repeating: " ", count: filling) + "\n"
    let length = UInt16(text.utf8.count)
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)]
      + Array(text.utf8)
  }

  /// What the files of variable `index` of `count` are called before the ending.
  ///
  /// The index keeps names apart; the rest of the name is there for people, and holds nothing that a
  /// path or a terminal would understand.
  static func stem(_ index: Int, of count: Int, _ name: Name) -> String {
    // So that any ending fits a file name's 255; chosen, not tuned.
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
  /// NumPy's name in a file; raw bytes of an element's width where NumPy has none.
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
      .float8E5M2FNUZ, .int4, .uint4, .int2, .uint2, .float4E2M1FN, .string, .resource, .variant:
      "|V\(byteCount ?? 0)"
    }
  }
}
