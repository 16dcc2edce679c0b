import SystemPackage
import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

/// A file of a checkpoint, of which a reader reads ranges.
struct IndexFile {
  /// The bytes that are read between two calls of `checkIn`; chosen, not tuned.
  private static let chunkByteCount = 4 << 20

  private let member: FileSet.Member
  private let checkIn: () throws(Problem) -> Void

  /// Wraps a file of a checkpoint; `checkIn` throws if no client waits for the bytes any more.
  init(_ member: FileSet.Member, checkIn: @escaping () throws(Problem) -> Void) {
    self.member = member
    self.checkIn = checkIn
  }

  /// The length of the file when it was opened.
  var byteCount: Int { member.status.size }

  /// Reads a whole range.
  func read(_ range: Range<Int>) throws(IndexError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    var done = 0
    while done < bytes.count {
      if done > 0 {
        do { try checkIn() } catch { throw .stopped(error) }
      }
      let chunk = done..<min(bytes.count, done + IndexFile.chunkByteCount)
      let count: Int
      do throws(Errno) {
        count = try member.file.read(at: range.lowerBound + done, into: &bytes, range: chunk)
      } catch {
        throw .unreadable(error)
      }
      done += count
      guard count == chunk.count else {
        throw .endsEarly(at: range.lowerBound + done, expected: byteCount)
      }
    }
    return bytes
  }

  /// Reads the first bytes, which tell the format.
  func head() throws(IndexError) -> [UInt8] {
    try read(0..<max(0, min(byteCount, WholeFormat.headByteCount)))
  }

  /// The format of a file that holds tensors and their index; nil for a table of TensorFlow, and
  /// for all that is unknown.
  func wholeFormat() throws(IndexError) -> WholeFormat? {
    let head = try head()
    return WholeFormat(head.span, fileByteCount: byteCount)
  }

  /// Reads from the end of a table where its own index is, including its trailer.
  func indexRange() throws(IndexError) -> Range<Int> {
    let footer = try read(max(0, byteCount - TableIndex.footerByteCount)..<byteCount)
    do throws(TableError) {
      return try TableIndex.range(footer: footer.rawSpan, fileByteCount: byteCount)
    } catch {
      throw .table(error)
    }
  }
}
