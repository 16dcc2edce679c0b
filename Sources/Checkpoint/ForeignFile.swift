import WarmstartKernel
import WarmstartTensorModel

/// Recognizes files of other formats, and files that Git LFS has not fetched, by their first bytes.
///
/// Such files are not damaged: the client took them for a checkpoint. The daemon looks only after
/// it refused a file, so that sound checkpoints cost no extra read.
enum ForeignFile {
  /// How many first bytes are compared; the mark of HDF5 behind a user block ends at byte 520.
  private static let headByteCount = 520

  /// The first bytes of each format, and the end of the sentence "file x is …".
  private static let marks: [(bytes: [UInt8], words: String)] = [
    (Array("GGUF".utf8), "a GGUF file, as llama.cpp reads, not a checkpoint"),
    ([0x1f, 0x8b], packed("gzip")),
    ([0xfd] + "7zXZ\0".utf8, packed("xz")),
    ([0x28, 0xb5, 0x2f, 0xfd], packed("zstd")),
    (Array("BZh".utf8), packed("bzip2")),
    (
      Array("model_checkpoint_path".utf8),
      "a state file, not a checkpoint: name its directory, or the checkpoint that it names"
    ),
    (Array("<!DOCTYPE html".utf8), webPage), (Array("<!doctype html".utf8), webPage),
    (Array("<html".utf8), webPage),
  ]

  private static let webPage = "a web page, not a checkpoint: download the file again"

  private static func packed(_ program: String) -> String {
    "compressed by \(program): unpack it, and name the checkpoint in it"
  }

  private static func rewrite(_ library: String) -> String {
    "load it with \(library), and write it with tf.train.Checkpoint"
  }

  /// Describes an index or a V1 table of another format, an empty one, or one that Git LFS has not
  /// fetched; nil for any other file.
  static func problem(with member: FileSet.Member) -> Problem? {
    if let pointer = pointer(member) { return pointer }
    if member.role == .whole, member.status.size == 0 {
      return Problem(.checkpointNotFound, "\(name(of: member)) is empty, expected a checkpoint")
    }
    guard let head = head(of: member), let words = words(head) else {
      return nil
    }
    return Problem(.unsupported, "\(name(of: member)) is \(words)")
  }

  /// Describes a file that Git LFS has not fetched; nil for any other file.
  static func pointer(_ member: FileSet.Member) -> Problem? {
    guard member.status.size < GitLFS.pointerLimit, let head = head(of: member),
      GitLFS.isPointer(head)
    else { return nil }
    return Problem(
      .checkpointNotFound,
      "\(name(of: member)) is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`")
  }

  private static func words(_ head: [UInt8]) -> String? {
    if let mark = marks.first(where: { head.starts(with: $0.bytes) }) { return mark.words }
    if head.count > 262, head[257..<262].elementsEqual("ustar".utf8) {
      return "a tar archive: unpack it, and name the checkpoint in it"
    }
    if head.dropFirst(512).elementsEqual(Superblock.signature) {
      return "an HDF5 file behind a user block of other bytes: remove the block with h5unjam"
    }
    if isPickle(head) {
      return "a Python pickle, such as PyTorch writes (.pt, .pth), not a checkpoint: "
        + rewrite("the library that wrote it")
    }
    return isText(head) ? "a text file, not a checkpoint" : nil
  }

  /// Pickles of protocols 2 to 5 begin with the protocol's number; 0 and 1 have no mark.
  private static func isPickle(_ head: [UInt8]) -> Bool {
    head.count > 1 && head[0] == 0x80 && (2...5).contains(head[1])
  }

  /// Whether the bytes are UTF-8 without control characters but tabs and line ends.
  private static func isText(_ head: [UInt8]) -> Bool {
    let text = String(decoding: head, as: UTF8.self).unicodeScalars
    let whole = head.count < headByteCount ? text[...] : text.dropLast()
    return !head.isEmpty && !whole.contains("\u{fffd}")
      && text.allSatisfy { $0 >= " " && $0 != "\u{7f}" || ("\t"..."\r").contains($0) }
  }

  private static func head(of member: FileSet.Member) -> [UInt8]? {
    var head = [UInt8](repeating: 0, count: max(0, min(headByteCount, member.status.size)))
    let count = try? member.file.read(at: 0, into: &head, range: head.indices)
    return count == head.count ? head : nil
  }

  /// What messages call a file.
  ///
  /// The client takes any file without an index for a V1 table, so that word is left out.
  private static func name(of member: FileSet.Member) -> String {
    guard member.role == .whole else { return "\(member)" }
    return member.file.name.map { "file \(Name($0[...]))" } ?? "the file"
  }
}
