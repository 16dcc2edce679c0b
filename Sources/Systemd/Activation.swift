internal import CWarmstartSystemd
package import SystemPackage
package import WarmstartKernel

/// The sockets that the service manager opened for this process.
package struct Activation {
  /// A socket and the name that its unit gave it (`FileDescriptorName=`).
  package struct Inherited {
    package let name: String
    package let socket: Socket
  }

  /// The sockets that were passed; empty if the process was started by hand.
  package let inherited: [Inherited]

  /// Takes over the sockets that were passed, and removes them from the environment.
  ///
  /// Call it once, before anything opens descriptors. The order of descriptors changes from start to
  /// start: find them by name. See `sd_listen_fds_with_names(3)`.
  ///
  /// - Throws: EINVAL if the environment contradicts itself, and EBADF if a descriptor is not open.
  package init() throws(Errno) {
    var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    let count = unsafe sd_listen_fds_with_names(1, &names)
    guard count >= 0 else { throw Errno(rawValue: -count) }
    var inherited: [Inherited] = []
    for index in 0..<Int(count) {
      let descriptor = Descriptor(adopting: SD_LISTEN_FDS_START + CInt(index))
      var name = ""
      if let text = unsafe names?[index] {
        name = unsafe String(cString: text)
        unsafe free(text)
      }
      inherited.append(Inherited(name: name, socket: Socket(descriptor)))
    }
    unsafe free(names)
    self.inherited = inherited
  }
}
