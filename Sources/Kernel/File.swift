import CWarmstartLinux
package import SystemPackage

/// An open file, which is closed when its last reference ends.
///
/// Reads take an offset, so that users of one file description do not disturb each other.
package final class File: Sendable {
  /// The open file's descriptor.
  package let descriptor: Descriptor

  /// Takes over a descriptor.
  package init(_ descriptor: consuming Descriptor) {
    self.descriptor = descriptor
  }

  /// Opens a file for reading.
  ///
  /// Opening a FIFO does not wait for a writer.
  ///
  /// See `open(2)`.
  package convenience init(opening path: FilePath) throws(Errno) {
    let number = unsafe path.withPlatformString { unsafe clinux_open($0) }
    self.init(Descriptor(adopting: try checked(number)))
  }

  /// Makes an empty file for writing, or empties the one at the path.
  ///
  /// See `open(2)`, O_TRUNC.
  package convenience init(creating path: FilePath, mode: UInt32 = 0o644) throws(Errno) {
    let number = unsafe path.withPlatformString { unsafe clinux_create($0, mode) }
    self.init(Descriptor(adopting: try checked(number)))
  }

  /// Makes a file for writing; throws EEXIST if the path names anything, even a broken link.
  ///
  /// See `open(2)`, O_EXCL.
  package convenience init(creatingNew path: FilePath, mode: UInt32 = 0o644) throws(Errno) {
    let number = unsafe path.withPlatformString { unsafe clinux_create_new($0, mode) }
    self.init(Descriptor(adopting: try checked(number)))
  }

  /// Which file this is, and which state its bytes are in now.
  ///
  /// See `fstat(2)`.
  package func status() throws(Errno) -> FileStatus {
    var status = clinux_status()
    _ = try checked(unsafe clinux_status(descriptor.number, &status))
    return FileStatus(status)
  }

  /// The same, as far as the kernel knows without asking a file server.
  ///
  /// Some file systems ask their server all the same, and hang if it does not answer. See
  /// `statx(2)`, AT_STATX_DONT_SYNC.
  package func knownStatus() throws(Errno) -> FileStatus {
    var status = clinux_status()
    _ = try checked(unsafe clinux_known_status(descriptor.number, &status))
    return FileStatus(status)
  }

  /// The kernel's magic number of the file system that the file is on.
  ///
  /// See `fstatfs(2)`.
  package func fileSystem() throws(Errno) -> Int64 {
    try checked(clinux_file_system(descriptor.number))
  }

  /// The last part of the file's current path, for messages; nil if `/proc` does not say.
  ///
  /// For a removed file it ends in ` (deleted)`. See `proc(5)`, `/proc/pid/fd`.
  package var name: [UInt8]? {
    var path = [UInt8](repeating: 0, count: File.maximumPathByteCount)
    let count = unsafe path.withUnsafeMutableBytes { bytes in
      unsafe clinux_path(descriptor.number, bytes.baseAddress, bytes.count)
    }
    guard count > 0 else { return nil }
    let name = path[..<count].split(separator: UInt8(ascii: "/")).last
    return name.map { Array($0) }
  }

  /// The most bytes of a path, with the zero at its end: PATH_MAX.
  static let maximumPathByteCount = 4096

  /// Whether the descriptor allows reading but not writing; false for O_PATH.
  package func isReadOnly() throws(Errno) -> Bool {
    try checked(clinux_is_read_only(descriptor.number)) == 1
  }

  /// Reads from an offset until the buffer is full or the file ends; returns the number of bytes.
  ///
  /// Unlike a mapping, it raises no SIGBUS if the file is truncated meanwhile. See `pread(2)`.
  package func read(at offset: Int, into buffer: inout MutableRawSpan) throws(Errno) -> Int {
    let number = descriptor.number
    return try unsafe buffer.withUnsafeMutableBytes { bytes throws(Errno) -> Int in
      var count = 0
      while count < bytes.count {
        let (position, overflow) = offset.addingReportingOverflow(count)
        guard !overflow else { throw .invalidArgument }
        // The span keeps the buffer alive.
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[count...])
        let read = try checked(
          unsafe clinux_pread(number, rest.baseAddress, rest.count, Int64(position)))
        if read == 0 { break }
        count += read
      }
      return count
    }
  }

  /// Reads from an offset into a run of an array until the run is full or the file ends.
  package func read(
    at offset: Int, into buffer: inout [UInt8], range: Range<Int>
  ) throws(Errno) -> Int {
    var span = buffer.mutableSpan
    // Any byte is a valid UInt8.
    var bytes = unsafe span.mutableBytes
    var run = bytes._mutatingExtracting(range)
    return try read(at: offset, into: &run)
  }

  /// Advises the kernel to drop the whole pages of a run from the page cache.
  ///
  /// Pages that a process has mapped stay. See `posix_fadvise(2)`, POSIX_FADV_DONTNEED.
  package func dropCached(at offset: Int, byteCount: Int) {
    _ = clinux_drop_cached(descriptor.number, Int64(offset), Int64(byteCount))
  }

  /// Reads a whole small file; nil if it exceeds the limit.
  ///
  /// Allocates as many bytes as the limit says, whatever the file's size.
  package func readAll(limit: Int) throws(Errno) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    let count = try read(at: 0, into: &bytes, range: 0..<limit + 1)
    guard count <= limit else { return nil }
    return Array(bytes.prefix(count))
  }

  /// Reads from the description's own offset to the end; nil if that exceeds the limit.
  ///
  /// Reads pipes.
  ///
  /// See `read(2)`.
  package func readToEnd(limit: Int) throws(Errno) -> [UInt8]? {
    let number = descriptor.number
    var bytes = [UInt8](repeating: 0, count: min(limit, 1 << 12) + 1)
    var count = 0
    while true {
      let read = try checked(
        unsafe bytes.withUnsafeMutableBytes { bytes in
          // The part of the array that has not been read into.
          let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[count...])
          return unsafe clinux_read(number, rest.baseAddress, rest.count)
        })
      count += read
      if read == 0 { return Array(bytes.prefix(count)) }
      guard count <= limit else { return nil }
      if count == bytes.count {
        let growth = min(bytes.count, limit + 1 - bytes.count)
        bytes += [UInt8](repeating: 0, count: growth)
      }
    }
  }

  /// One call writes at most this many bytes, because a caught signal waits for it to end.
  ///
  /// Chosen, not tuned.
  private static let maximumWriteByteCount = 16 << 20

  /// Writes all bytes at the description's own offset.
  ///
  /// Other calls trap on EFAULT, but this one throws it: the bytes may be a mapping of a file that
  /// was truncated or cannot be read. Some of them may have been written. See `write(2)`.
  package func write(_ bytes: RawSpan) throws(Errno) {
    let number = descriptor.number
    try unsafe bytes.withUnsafeBytes { bytes throws(Errno) in
      var count = 0
      while count < bytes.count {
        let end = min(bytes.count, count + File.maximumWriteByteCount)
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[count..<end])
        let written = unsafe clinux_write(number, rest.baseAddress, rest.count)
        guard written != -Int(Errno.badAddress.rawValue) else { throw .badAddress }
        count += try checked(written)
      }
    }
  }

  /// Removes a name, if it exists.
  ///
  /// See `unlink(2)`.
  package static func remove(_ path: FilePath) {
    // A missing file is what the caller wants, and no caller could act on another error.
    _ = unsafe path.withPlatformString { unsafe clinux_remove($0) }
  }

  /// Gives a file another name, and replaces the file that has that name.
  ///
  /// See `rename(2)`.
  package static func rename(_ path: FilePath, to newPath: FilePath) throws(Errno) {
    _ = try checked(
      unsafe path.withPlatformString { old in
        unsafe newPath.withPlatformString { unsafe clinux_rename(old, $0) }
      })
  }

  /// Makes a directory in one that exists.
  ///
  /// See `mkdir(2)`.
  package static func makeDirectory(_ path: FilePath, mode: UInt32 = 0o755) throws(Errno) {
    _ = try checked(unsafe path.withPlatformString { unsafe clinux_make_directory($0, mode) })
  }

  /// Whether the path names anything, following links.
  ///
  /// See `stat(2)`.
  package static func exists(_ path: FilePath) -> Bool {
    (try? isDirectory(path)) != nil
  }

  /// Whether the path names something that this process may write to, or connect to if it is a
  /// socket.
  ///
  /// See `eaccess(3)`.
  package static func mayWrite(_ path: FilePath) -> Bool {
    unsafe path.withPlatformString { unsafe clinux_may_write($0) } == 0
  }

  /// Whether the path names a directory, following links.
  ///
  /// See `stat(2)`.
  package static func isDirectory(_ path: FilePath) throws(Errno) -> Bool {
    try checked(unsafe path.withPlatformString { unsafe clinux_is_directory($0) }) == 1
  }
}

/// Which file it is, and which state its bytes are in.
///
/// See `stat(2)`.
package struct FileStatus: Sendable, Hashable {
  /// The file system that the file is on; with `inode`, it identifies the file.
  package private(set) var device: UInt64
  /// The file's number in its file system.
  package private(set) var inode: UInt64
  /// The length in bytes.
  package private(set) var size: Int
  /// When the bytes last changed, in nanoseconds since 1970.
  package private(set) var modified: Int64
  /// When the bytes or the inode last changed, in nanoseconds since 1970.
  package private(set) var changed: Int64
  /// The number of names that the file has; 0 once it is deleted.
  package private(set) var linkCount: UInt64
  /// Whether it is a regular file, not a directory, a device, a socket or a FIFO.
  package let isRegular: Bool
  /// The user id of the file's owner.
  package let owner: UInt32
  /// The bytes that the file takes on disk, fewer than `size` if it is sparse.
  package let allocated: Int

  /// A copy with other values.
  ///
  /// Tests make statuses with it that no file system would give them.
  package func changing(
    device: UInt64? = nil, inode: UInt64? = nil, size: Int? = nil, modified: Int64? = nil,
    changed: Int64? = nil, linkCount: UInt64? = nil
  ) -> FileStatus {
    var other = self
    other.device = device ?? self.device
    other.inode = inode ?? self.inode
    other.size = size ?? self.size
    other.modified = modified ?? self.modified
    other.changed = changed ?? self.changed
    other.linkCount = linkCount ?? self.linkCount
    return other
  }

  init(_ status: clinux_status) {
    device = status.device
    inode = status.inode
    size = Int(status.size)
    modified = status.modified_ns
    changed = status.changed_ns
    linkCount = status.links
    isRegular = status.mode & 0o170000 == 0o100000
    owner = status.owner
    allocated = Int(status.allocated)
  }
}
