import CLinux
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

  /// The next name, in no particular order and without `.` and `..`; nil at the end.
  package mutating func next() throws(Errno) -> FilePath.Component? {
    var name: UnsafePointer<CChar>?
    _ = try checked(unsafe clinux_directory_next(stream, &name))
    // The name is copied before the next call ends its life.
    guard let name = unsafe name else { return nil }
    return unsafe FilePath.Component(platformString: name)
  }
}
