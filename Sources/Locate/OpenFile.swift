import SystemPackage
import WarmstartKernel

/// An open file of any kind.
struct OpenFile {
  let file: File
  /// Its state when it was opened.
  let status: FileStatus

  var isRegular: Bool { status.isRegular }
  var byteCount: Int { status.size }

  /// Opens a file, without waiting for a FIFO's writer; nil if the file does not exist.
  init?(_ path: FilePath) throws(LocateError) {
    do throws(Errno) {
      file = try File(opening: path)
      status = try file.status()
    } catch {
      if Self.isAbsence(error) { return nil }
      // The error of open(2) for a socket, or for a device without a driver.
      if error == .noSuchAddressOrDevice { throw .notRegular(path: path.string) }
      throw LocateError(error, path: path.string)
    }
  }

  /// Opens a regular file; nil if it does not exist.
  ///
  /// Throws for a file of another kind.
  static func regular(_ path: FilePath) throws(LocateError) -> OpenFile? {
    guard let found = try OpenFile(path) else { return nil }
    guard found.isRegular else { throw .notRegular(path: path.string) }
    return found
  }

  /// Whether a file of any kind exists.
  static func exists(_ path: FilePath) throws(LocateError) -> Bool {
    do throws(Errno) {
      _ = try File.isDirectory(path)
      return true
    } catch {
      if isAbsence(error) { return false }
      throw LocateError(error, path: path.string)
    }
  }

  /// Whether a path leads to a directory; false if this user cannot find out.
  static func isDirectory(_ path: FilePath) -> Bool {
    (try? File.isDirectory(path)) == true
  }

  private static func isAbsence(_ errno: Errno) -> Bool {
    errno == .noSuchFileOrDirectory || errno == .notDirectory || errno == .fileNameTooLong
  }
}
