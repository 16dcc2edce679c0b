import CWarmstartLinux
package import SystemPackage

/// A listing of a directory, read name by name.
///
/// See `readdir(3)`.
@safe
package struct Directory: ~Copyable {
  private let stream: UnsafeMutableRawPointer

  /// Starts to list a directory; throws ENOTDIR if the path names something else.
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

  /// Returns the next name that satisfies a condition, in no particular order; nil at the end.
  ///
  /// The condition sees names that are not UTF-8 with replacement characters. `.` and `..` are left
  /// out.
  package mutating func next(
    where isWanted: (String) -> Bool
  ) throws(Errno) -> FilePath.Component? {
    while true {
      var name: UnsafePointer<CChar>?
      _ = try checked(unsafe clinux_directory_next(stream, &name))
      // The name is valid until the next call; it is copied here.
      guard let name = unsafe name else { return nil }
      if isWanted(unsafe String(cString: name)) {
        return unsafe FilePath.Component(platformString: name)
      }
    }
  }
}
