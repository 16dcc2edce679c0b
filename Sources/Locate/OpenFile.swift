import SystemPackage
import WarmstartKernel

/// A file that is there and that this user may read, whatever kind it is.
struct OpenFile {
  let file: File
  let isRegular: Bool
  let byteCount: Int

  /// Opens a file, never waiting for a FIFO; nil if nothing is there.
  init?(_ path: FilePath) throws(LocateError) {
    do throws(Errno) {
      file = try File(opening: path)
      let status = try file.status()
      isRegular = status.isRegular
      byteCount = status.size
    } catch {
      if Self.isAbsence(error) { return nil }
      // What open(2) says to a socket or to a device that is not there.
      if error == .noSuchAddressOrDevice { throw .notRegular(path: path.string) }
      throw LocateError(error, path: path.string)
    }
  }

  /// Opens a regular file; nil if nothing is there, and an error if it is of another kind.
  static func regular(_ path: FilePath) throws(LocateError) -> File? {
    guard let found = try OpenFile(path) else { return nil }
    guard found.isRegular else { throw .notRegular(path: path.string) }
    return found.file
  }

  /// Whether anything is at a path.
  static func exists(_ path: FilePath) throws(LocateError) -> Bool {
    do throws(Errno) {
      _ = try File.isDirectory(path)
      return true
    } catch {
      if isAbsence(error) { return false }
      throw LocateError(error, path: path.string)
    }
  }

  /// Whether a path leads to a directory; not if this user cannot find out.
  static func isDirectory(_ path: FilePath) -> Bool {
    (try? File.isDirectory(path)) == true
  }

  private static func isAbsence(_ errno: Errno) -> Bool {
    errno == .noSuchFileOrDirectory || errno == .notDirectory || errno == .fileNameTooLong
  }
}
