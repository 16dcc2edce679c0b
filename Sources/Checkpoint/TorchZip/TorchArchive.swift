import WarmstartTensorModel

/// A zip archive as `torch.save` writes it: a directory with `data.pkl`, `byteorder` and `data/N`.
///
/// Source: `torch/serialization.py`, and `caffe2/serialize/inline_container.h` for the records.
struct TorchArchive {
  /// What to do about an entry that is compressed.
  static let advice = "save the file again with torch.save, which does not compress"

  /// The entry of the pickle.
  let pickle: ZipArchive.Entry
  private let zip: ZipArchive
  /// The directory in front of all names, with its `/`: the file's name without its suffix.
  private let root: ArraySlice<UInt8>

  /// Takes an archive for one that `torch.save` wrote; nil if it has no `data.pkl` in a directory.
  init?(_ zip: ZipArchive) {
    let suffix = Array("/data.pkl".utf8)
    // Names in the directory may end alike; the writer puts the right one first.
    let found = zip.entries.first {
      $0.name.bytes.count > suffix.count && $0.name.bytes.suffix(suffix.count).elementsEqual(suffix)
        && !$0.name.bytes.dropLast(suffix.count).contains(UInt8(ascii: "/"))
    }
    guard let found else { return nil }
    self.zip = zip
    pickle = found
    root = found.name.bytes.dropLast(suffix.count - 1)
  }

  /// Finds an entry by its name in the directory.
  func entry(_ name: Name) -> ZipArchive.Entry? {
    zip.entry(Name((root + name.bytes)[...]))
  }

  /// Whether `torch.jit.save` or `torch.export.save` wrote the archive: it has programs.
  var hasPrograms: Bool {
    let marks = ["constants.pkl", "code/", "archive_format", "models/"].map {
      root + Array($0.utf8)
    }
    return zip.entries.contains { entry in marks.contains { entry.name.bytes.starts(with: $0) } }
  }

  /// Whether the storages were written on a machine with the other byte order.
  ///
  /// Files before PyTorch 2.1 do not say it, and were little-endian but for very few.
  func isBigEndian(_ file: IndexFile) throws(IndexError) -> Bool {
    guard let entry = entry("byteorder") else { return false }
    try entry.requireStored(TorchArchive.advice)
    let text = entry.range.count <= 6 ? try entry.read(from: file) : []
    switch String(decoding: text, as: UTF8.self) {
    case "little": return false
    case "big": return true
    default:
      throw .malformed(
        at: entry.range.lowerBound,
        "has other contents of the entry \(entry.name.inMessage), expected little or big")
    }
  }
}
