import SystemPackage
import WarmstartTable
import WarmstartTensorModel

/// Why what a checkpoint's files say of their tensors cannot be read.
///
/// The readers throw it. Only `Problem(_:in:)` words it for the client, and adds the name of the
/// file.
enum IndexError: Error {
  /// The caller refused the memory, or no longer waits; the problem that it threw.
  case stopped(Problem)

  // MARK: The file

  /// The system cannot read the file.
  case unreadable(Errno)
  /// The file ended before its length at the time when it was opened.
  case endsEarly(at: Int, expected: Int)
  /// The file was written to while it was read.
  case beingWritten
  /// The table in the file is damaged.
  case table(TableError)
  /// A part of the file exceeds what is read; `part` is a noun: `an index`.
  case tooLong(part: String, byteCount: Int, limit: Int)
  /// The contents take more memory than those of a file of this size may.
  case tooLarge(limit: Int)
  /// The writer excluded readers of this version.
  case unsupportedVersion(WriterVersion.Fault)

  // MARK: Files of other formats than TensorFlow's

  /// The file breaks the rules of its format at an offset; the words are a predicate: `has …,
  /// expected …`.
  case malformed(at: Int, String)
  /// The file is right, but has what cannot be shared; the words are a predicate that says what to
  /// do.
  case unsupported(String)
  /// The same of one tensor.
  case tensorMalformed(String, Name)
  case tensorUnsupported(String, Name)
  /// The bytes of an entry of a zip archive are not those of its checksum.
  case entryDamaged(Name, stored: UInt32, calculated: UInt32)

  // MARK: The index of a V2 checkpoint

  case noEntries
  case headerMissing(before: Name)
  case headerMalformed
  case entryMalformed(Name)
  case tooManyTensors(limit: Int)
  /// The names in the keys of slices exceed what a file of this size may list.
  case tooManySliceKeys

  // MARK: The list of tensors in a V1 table

  case listMissing
  case listMalformed
  case nameTooLong(byteCount: Int, limit: Int)

  // MARK: One tensor

  /// TensorFlow has no dtype of this number, or its tensors have no bytes.
  case unknownDtype(Int32, Name)
  case invalidShape([Int], Name)
  /// A tensor is listed twice in V1 tables, with different dtypes or shapes.
  case listedDifferently(DataType, Shape, before: DataType, Shape, Name)
  /// The number of a slice's axes is not the tensor's.
  case sliceRank(Int, expected: Int, Name)
  /// The dtype in a slice's entry is not the tensor's.
  case sliceDtype(Int32, expected: Int32, Name)
  /// The shape in a slice's entry is not the one that the tensor lists.
  case sliceShape(Shape, expected: Shape, Name)
  /// A slice is empty on an axis, or lies outside all axes.
  case sliceExtent(StoredExtent, Name)
  case sliceTooLarge(Name)
}

extension Problem {
  /// Describes for a client why an index cannot be read.
  ///
  /// - Parameters:
  ///   - file: What messages call the file: `index file model.index`.
  init(_ error: IndexError, in file: String) {
    self =
      error.problemOfTensor(in: file)
      ?? {
        switch error {
        case .stopped(let problem): return problem
        case .unreadable(let errno): return Problem(.system, "\(file) cannot be read: \(errno)")
        case .endsEarly(let end, let expected):
          return Problem(.truncated, "\(file) ended after \(end) bytes, expected \(expected)")
        case .malformed(let offset, let words):
          return Problem(.corrupt, "\(file) is damaged: at \(offset) it \(words)")
        case .unsupported(let words): return Problem(.unsupported, "\(file) \(words)")
        case .entryDamaged(let name, let stored, let calculated):
          return Problem(
            .checksumMismatch,
            "\(file) is damaged: the checksum of its entry \(name.inMessage) is \(stored), "
              + "calculated \(calculated)")
        case .beingWritten: return Problem(.checkpointChanged, "\(file) is being written")
        case .table(let error): return Problem(error, in: file)
        case .tooLong(let part, let byteCount, let limit):
          return Problem(
            .unsupported, "\(file) has \(part) of \(byteCount) bytes, expected at most \(limit)")
        case .unsupportedVersion(let fault):
          return Problem(.versionMismatch, "\(file): \(fault)")
        case .tooManyTensors(let limit):
          return Problem(.unsupported, "\(file) has more than \(limit) tensors")
        case .nameTooLong(let byteCount, let limit):
          return Problem(
            .unsupported,
            "\(file) lists a tensor whose name has \(byteCount) bytes, expected at most \(limit)")
        default: return Problem(.corrupt, error.corruption(of: file))
        }
      }()
  }

  /// Describes what is wrong with a table, or with a block of one.
  private init(_ error: TableError, in table: String) {
    let reason: Reason =
      switch error {
      case .truncated: .truncated
      case .checksumMismatch: .checksumMismatch
      default: .corrupt
      }
    let fault =
      switch error {
      case .tooShort(0): "is empty"
      case .tooShort, .badMagic: "is damaged, or is not a checkpoint"
      default: "is damaged"
      }
    self.init(reason, "\(table) \(fault): \(error)")
    switch error {
    case .tooShort, .badMagic: isPerhapsNoCheckpoint = true
    default: break
    }
  }
}

extension IndexError {
  /// Describes what is corrupt in a file, in a sentence.
  fileprivate func corruption(of file: String) -> String {
    switch self {
    case .tooLarge(let limit): "\(file) expands to more than \(limit) bytes"
    case .noEntries: "\(file) has no entries, expected a header"
    case .headerMissing(let name): "\(file) has no header before \(name.inMessage)"
    case .headerMalformed:
      "the header of \(file) is not parseable, expected a BundleHeaderProto"
    case .tooManySliceKeys: "\(file) lists more slices of long names than it has keys"
    case .listMissing: "\(file) does not begin with a list of the tensors that it holds"
    case .listMalformed:
      "the list of tensors of \(file) is not parseable, expected a SavedTensorSliceMeta"
    default: "\(file) is damaged"
    }
  }

  /// Describes what is wrong with one tensor; nil if the fault is not one tensor's.
  fileprivate func problemOfTensor(in file: String) -> Problem? {
    func problem(_ name: Name, _ fault: String, _ expected: String) -> Problem {
      Problem(
        .corrupt, "tensor \(name.inMessage) has \(fault) in \(file), expected \(expected)",
        tensor: name)
    }
    switch self {
    case .tensorMalformed(let words, let name):
      return Problem(.corrupt, "tensor \(name.inMessage) of \(file) \(words)", tensor: name)
    case .tensorUnsupported(let words, let name):
      return Problem(.unsupported, "tensor \(name.inMessage) of \(file) \(words)", tensor: name)
    case .entryMalformed(let name):
      return Problem(
        .corrupt,
        "the entry of tensor \(name.inMessage) in \(file) is not parseable, "
          + "expected a BundleEntryProto", tensor: name)
    case .unknownDtype(let number, let name):
      let last = DataType.allCases.filter(\.isTensorFlows).map(\.rawValue).max() ?? 0
      return problem(
        name, "the unknown dtype \(number)",
        "1 to \(last) and not \(DataType.resource.rawValue) (resource)")
    case .invalidShape(let lengths, let name):
      return problem(
        name, "the invalid shape \(Shape(lengths).inMessage)",
        "at most \(BundleReader.maximumRank) axes, none negative, and less than 2^63 elements")
    case .listedDifferently(let dtype, let shape, let known, let knownShape, let name):
      return problem(
        name, "dtype \(dtype.name) and shape \(shape)",
        "\(known.name) \(knownShape) as listed before")
    case .sliceRank(let rank, let expected, let name):
      return problem(name, "a slice of \(rank) axes", "\(expected)")
    case .sliceDtype(let dtype, let expected, let name):
      return problem(name, "a slice of dtype number \(dtype)", "\(expected)")
    case .sliceShape(let shape, let expected, let name):
      return problem(name, "a slice of shape \(shape.inMessage)", expected.inMessage)
    case .sliceExtent(let extent, let name):
      let count = extent.length.map(String.init) ?? "all"
      return problem(
        name, "a slice of \(count) elements from \(extent.start)",
        "a whole axis, or one element or more from 0 on")
    case .sliceTooLarge(let name):
      return problem(name, "a slice of 2^63 bytes or more", "less")
    default: return nil
    }
  }
}
