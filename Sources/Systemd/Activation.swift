internal import CWarmstartSystemd
package import SystemPackage
package import WarmstartKernel

/// The descriptors that the service manager passed to this process: sockets that it listens on, and
/// what an earlier process of the service left in the descriptor store.
package enum Activation {
  /// Takes over the descriptors that were passed, and removes them from the environment.
  ///
  /// Call it once, before anything opens descriptors. The order of descriptors changes from start
  /// to start: find them by name. A process that was started by hand gets none. See
  /// `sd_listen_fds_with_names(3)`.
  ///
  /// - Parameter take: Gets each descriptor, with the name from its unit (`FileDescriptorName=`),
  ///   or from the earlier process that stored it.
  /// - Throws: EINVAL if the environment contradicts itself, and EBADF if a descriptor is not open.
  package static func takeDescriptors(
    _ take: (_ name: String, _ descriptor: consuming Descriptor) -> Void
  ) throws(Errno) {
    var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    let count = unsafe sd_listen_fds_with_names(1, &names)
    guard count >= 0 else { throw Errno(rawValue: -count) }
    for index in 0..<Int(count) {
      let descriptor = Descriptor(adopting: SD_LISTEN_FDS_START + CInt(index))
      var name = ""
      if let text = unsafe names?[index] {
        name = unsafe String(cString: text)
        unsafe free(text)
      }
      take(name, descriptor)
    }
    unsafe free(names)
  }
}
