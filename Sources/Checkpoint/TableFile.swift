import SystemPackage
import WarmstartKernel
import WarmstartTable
import WarmstartTensorModel

/// A file that is a table, of which ranges are read: an index, or a table of a V1 checkpoint.
struct TableFile {
  /// Bytes that are read between two calls of `checkIn`; chosen, not tuned.
  private static let chunkByteCount = 4 << 20

  private let member: FileSet.Member
  private let checkIn: () throws(Problem) -> Void

  /// Takes a file of a checkpoint; `checkIn` throws if nobody waits for what is read any more.
  init(_ member: FileSet.Member, checkIn: @escaping () throws(Problem) -> Void) {
    self.member = member
    self.checkIn = checkIn
  }

  /// The length that the file had when it was opened.
  var byteCount: Int { member.status.size }

  /// Reads a range, all of it.
  func read(_ range: Range<Int>) throws(IndexError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    var done = 0
    while done < bytes.count {
      if done > 0 {
        do { try checkIn() } catch { throw .stopped(error) }
      }
      let chunk = done..<min(bytes.count, done + TableFile.chunkByteCount)
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

  /// Reads where the table's own index is, its trailer included, from the end of the file.
  func indexRange() throws(IndexError) -> Range<Int> {
    let footer = try read(max(0, byteCount - TableIndex.footerByteCount)..<byteCount)
    do throws(TableError) {
      return try TableIndex.range(footer: footer.rawSpan, fileByteCount: byteCount)
    } catch {
      throw .table(error)
    }
  }
}
