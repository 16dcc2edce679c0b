import CWarmstartLinux
package import SystemPackage

/// A directory that is being listed.
///
/// See `readdir(3)`.
@safe
package struct Directory: ~Copyable {
  private let stream: UnsafeMutableRawPointer

  /// Starts a listing; the path must name a directory.
  ///
  /// See `opendir(3)`.
  package init(opening path: FilePath) throws(Errno) {
    var opened: UnsafeMutableRawPointer?
    _ = try checked(
      unsafe path.withPlatformString { unsafe clinux_directory_open($0, &opened) })
    guard let stream = unsafe opened else { preconditionFailure("opened without a stream") }
    unsafe self.stream = stream
  }

  deinit {
    unsafe clinux_directory_close(stream)
  }

  /// The next name that is wanted, in no particular order; nil at the end.
  ///
  /// Names that are not UTF-8 are shown repaired; `.` and `..` never come.
  package mutating func next(
    where isWanted: (String) -> Bool
  ) throws(Errno) -> FilePath.Component? {
    while true {
      var name: UnsafePointer<CChar>?
      _ = try checked(unsafe clinux_directory_next(stream, &name))
      // The name is copied before the next call ends its life.
      guard let name = unsafe name else { return nil }
      if isWanted(unsafe String(cString: name)) {
        return unsafe FilePath.Component(platformString: name)
      }
    }
  }
}
