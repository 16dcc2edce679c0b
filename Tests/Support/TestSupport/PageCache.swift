internal import Foundation

/// The pages of a file in the page cache.
public enum PageCache {
  /// Writes a file to the disk and drops it from the page cache.
  public static func drop(_ path: String) throws {
    let file = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? file.close() }
    // The kernel drops no page that must still be written.
    guard fsync(file.fileDescriptor) == 0,
      posix_fadvise(file.fileDescriptor, 0, 0, POSIX_FADV_DONTNEED) == 0
    else { throw CocoaError(.fileReadUnknown) }
  }

  /// The bytes of a file, in whole pages, that can be read without using the disk.
  public static func byteCount(of path: String) throws -> Int {
    let file = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? file.close() }
    let count = Int(try file.seekToEnd())
    let memory = mmap(nil, count, PROT_READ, MAP_SHARED, file.fileDescriptor, 0)
    guard let memory, memory != MAP_FAILED else { throw CocoaError(.fileReadUnknown) }
    defer { munmap(memory, count) }
    let page = sysconf(Int32(_SC_PAGESIZE))
    var pages = [UInt8](repeating: 0, count: (count + page - 1) / page)
    guard mincore(memory, count, &pages) == 0 else { throw CocoaError(.fileReadUnknown) }
    return pages.count { $0 & 1 == 1 } * page
  }
}
