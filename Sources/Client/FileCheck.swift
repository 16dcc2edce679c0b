import SystemPackage
import WarmstartKernel
import WarmstartLocate

// A file region shows what is written to its file. The daemon compares the file with its state when
// it was opened before every grant; `check` does the same afterwards, in the trainer's process. A
// store through a mapping whose page is already dirty changes no time and no size, so no check can
// find it.

extension Region {
  /// Finds out whether the file that the bytes are in has changed since it was opened.
  ///
  /// An arena cannot change, and passes at once. A file that was replaced passes too: the bytes are
  /// those of the old file.
  ///
  /// - Throws: `WarmstartError` with the reason `checkpointChanged` if the file was written,
  ///   truncated or extended; `system` if it cannot be examined.
  public func check() throws(WarmstartError) {
    guard let part else { return }
    let now: FileStatus
    do { now = try part.file.status() } catch {
      throw WarmstartError(
        .system, "cannot examine \(part.path): \(error)", underlying: error)
    }
    guard let change = now.change(since: part.status) else { return }
    throw WarmstartError(
      .checkpointChanged, "\(part.path) \(change) since it was opened; open the checkpoint again")
  }
}

extension Tensor {
  /// Finds out whether the file that the bytes are in has changed since it was opened.
  ///
  /// - Throws: `WarmstartError` with the reasons of `Region.check()`.
  public func check() throws(WarmstartError) { try region.check() }
}

extension Resolved {
  /// Finds out whether a file that the tensors' bytes are in has changed since it was opened.
  ///
  /// Call it after the bytes were used, for example after they were copied to a device: then what
  /// was used is what the daemon had verified.
  ///
  /// - Throws: `WarmstartError` with the reasons of `Region.check()`.
  public func check() throws(WarmstartError) {
    for region in answer.regions { try region.check() }
  }
}

extension FileStatus {
  /// What happened to a file, in words; nil if its bytes are still the same.
  ///
  /// A link that was added or removed, as when the file is replaced, changes one of its times and
  /// no byte.
  fileprivate func change(since then: FileStatus) -> String? {
    if size < then.size { return "was truncated from \(then.size) to \(size) bytes" }
    if size > then.size { return "grew from \(then.size) to \(size) bytes" }
    if modified != then.modified { return "was written" }
    return changed != then.changed && linkCount == then.linkCount ? "was changed or renamed" : nil
  }
}
