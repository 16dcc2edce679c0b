import WarmstartTensorModel

/// Reads the tensors of a PyTorch file: `.pt`, `.pth` or `.bin`, as `torch.save` writes it since
/// version 1.6.
///
/// The reader reads the zip directory, the local headers, the pickle and the byte order. Tensors
/// are views of storages, which are entries of their own; two tensors may be views of one storage.
/// Files in which PyTorch saved a program, or that an older version wrote, are refused by name.
enum TorchZip {
  /// The longest pickle that is read, enough for a million tensors; chosen, not tuned.
  private static let maximumPickleByteCount = 256 << 20

  /// Adds the tensors of an archive that `torch.save` wrote, in the order of the pickle.
  static func read(
    _ file: IndexFile, _ archive: TorchArchive, to tensors: inout FoundTensors,
    _ memory: inout ReaderMemory, checkIn: @escaping () throws(Problem) -> Void
  ) throws(IndexError) {
    let entry = archive.pickle
    guard !archive.hasPrograms else {
      throw .unsupported(
        "is a TorchScript archive, which holds a program: load it with torch.jit.load, and save "
          + "its state_dict() with torch.save")
    }
    try entry.requireStored(TorchArchive.advice)
    guard entry.range.count <= maximumPickleByteCount else {
      throw .unsupported(
        "has a pickle of \(entry.range.count) bytes, expected at most \(maximumPickleByteCount)")
    }
    let isBigEndian = try archive.isBigEndian(file)
    try memory.take(entry.range.count)
    let pickle = PickleBytes(try entry.read(from: file), at: entry.range.lowerBound)
    var machine = PickleMachine(pickle, of: archive, memory)
    var steps = CheckedSteps(checkIn)
    let object = try machine.run(&steps)
    memory = machine.memory
    var names = TorchNames(machine, tensors, isBigEndian: isBigEndian)
    // The tensors of earlier files are not copied.
    tensors = FoundTensors()
    try names.walk(from: object, &memory, &steps)
    tensors = names.tensors
    memory.giveBack(entry.range.count + machine.taken)
  }

  /// Whether a file starts as PyTorch wrote files before version 1.6: with a pickled number.
  ///
  /// The number is 0x1950a86a20f9469cfc6c (`torch.serialization.MAGIC_NUMBER`).
  static func recognizesLegacy(_ head: Span<UInt8>) -> Bool {
    let mark: [UInt8] = [
      0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
    ]
    return head.count >= mark.count && mark.indices.allSatisfy { head[$0] == mark[$0] }
  }

  /// The error for a file that `recognizesLegacy` recognizes.
  static var legacy: IndexError {
    .unsupported(
      "has the format that PyTorch wrote before version 1.6: load it with torch.load, and save "
        + "it again with torch.save")
  }
}
