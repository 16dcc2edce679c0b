import Kernel
import SystemPackage
package import TensorModel

extension Checkpoint {
  /// Reads the index of a V2 checkpoint, or the lists of a V1 checkpoint's tables.
  ///
  /// `reserve` is told how much memory reading takes in all, before it is taken; it may say no.
  package static func read(
    _ files: FileSet, reserving reserve: @escaping (Int) throws(Problem) -> Void
  ) throws(Problem) -> Checkpoint {
    guard files.isTables else {
      return try BundleReader.read(files, reserving: reserve)
    }
    let sources = files.members.map { member in
      SavedSlicesReader.Source(
        name: "\(member)", byteCount: member.status.size
      ) { range throws(Problem) in try files.read(range, of: member) }
    }
    let read = Result { () throws(Problem) in
      try SavedSlicesReader.read(sources, reserving: reserve)
    }
    // A file that is being written looks corrupt, or is another one: that it changed is the better
    // answer.
    for member in files.members { try files.expectUnchanged(member) }
    return try read.get()
  }
}

extension FileSet {
  /// Reads a range of a file, all of it.
  fileprivate func read(_ range: Range<Int>, of member: Member) throws(Problem) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    let count: Int
    do {
      count = try member.file.read(at: range.lowerBound, into: &bytes, range: 0..<range.count)
    } catch {
      throw Problem(.system, "\(member) cannot be read: \(error)")
    }
    guard count == range.count else {
      throw Problem(
        .truncated,
        "\(member) ended after \(range.lowerBound + count) bytes, expected \(member.status.size)")
    }
    return bytes
  }
}
