import WarmstartTensorModel

/// The bytes that one or more tensors are views of: one entry of the archive.
struct TorchStorage {
  let dtype: TorchDtype
  let isTyped: Bool
  /// Where the bytes are in the file; nil on the device `meta`, which has none.
  let range: Range<Int>?
  /// The number of elements.
  let count: Int
  /// The CRC-32 of all bytes; 0 if there is none.
  let checksum: UInt32
}

extension PickleMachine {
  /// The longest key of a storage; chosen, not tuned.
  private static let longestKeyByteCount = 256

  /// Finds the storage that a persistent id names: `('storage', class, key, device, count)`.
  ///
  /// `torch.save` writes one id for each tensor, and one entry `data/KEY` for each storage.
  mutating func storage(persistentID: PickleValue) throws(IndexError) -> PickleValue {
    guard let items = heap.items(of: persistentID), items.count == 5,
      case let id = Array(items), text(id[0]).elementsEqual("storage".utf8),
      case .global(.storageClass(let dtype, let isTyped)) = id[1], case .text = id[2],
      case .text = id[3], case .integer(let count) = id[4], count >= 0
    else {
      throw bytes.malformed(
        "has \(persistentID.kind) as a persistent id, "
          + "expected ('storage', class, key, device, count)")
    }
    // Each use of a storage looks its key up. PyTorch counts storages, so that keys are short.
    guard text(id[2]).count <= Self.longestKeyByteCount else {
      throw bytes.malformed(
        "has the key of a storage with \(text(id[2]).count) bytes, expected at most "
          + "\(Self.longestKeyByteCount)")
    }
    let key = Name(text(id[2]))
    if let known = storagesOfKeys[key] {
      let storage = heap.storages[Int(known)]
      guard storage.dtype == dtype, storage.isTyped == isTyped, storage.count == count else {
        throw bytes.malformed(
          "has the storage \(key.inMessage) of \(count) elements of \(dtype.rawValue), expected "
            + "\(storage.count) of \(storage.dtype.rawValue) as before")
      }
      return .storage(known)
    }
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: dtype.byteCount)
    guard !overflow else {
      throw bytes.malformed("has the storage \(key.inMessage) of \(count) elements, expected fewer")
    }
    var range: Range<Int>?
    var checksum: UInt32 = 0
    if !text(id[3]).elementsEqual("meta".utf8) {
      guard let entry = archive.entry("data/\(key)") else {
        throw bytes.malformed(
          "has a storage without the zip entry data/\(key), expected one of \(byteCount) bytes")
      }
      try entry.requireStored(TorchArchive.advice)
      guard entry.range.count == byteCount else {
        throw bytes.malformed(
          "has the zip entry \(entry.name.inMessage) of \(entry.range.count) bytes, expected "
            + "\(byteCount) as its storage has")
      }
      (range, checksum) = (entry.range, entry.checksum)
    }
    try pay(
      2
        * (MemoryLayout<TorchStorage>.stride + MemoryLayout<Name>.stride
          + MemoryLayout<UInt32>.stride))
    let number = UInt32(heap.storages.count)
    heap.storages.append(
      TorchStorage(dtype: dtype, isTyped: isTyped, range: range, count: count, checksum: checksum))
    storagesOfKeys[key] = number
    return .storage(number)
  }
}
