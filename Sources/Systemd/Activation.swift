internal import CWarmstartSystemd
package import SystemPackage
package import WarmstartKernel

/// The descriptors that the service manager passed to this process: sockets that it listens on, and
/// what an earlier process of the service left in the descriptor store.
package struct Activation {
  /// A socket and the name that its unit gave it (`FileDescriptorName=`).
  package struct Inherited {
    package let name: String
    package let socket: Socket
  }

  /// The sockets that were passed; empty if the process was started by hand.
  package let inherited: [Inherited]
  /// The descriptors from the store, with the names that the earlier process gave them.
  package let stored: [(name: String, file: File)]

  /// Takes over the descriptors that were passed, and removes them from the environment.
  ///
  /// Call it once, before anything opens descriptors. The order of descriptors changes from start to
  /// start: find them by name. See `sd_listen_fds_with_names(3)`.
  ///
  /// - Parameter isSocket: Whether a name is that of a socket of the units. Another descriptor is from
  ///   the store unless it listens.
  /// - Throws: EINVAL if the environment contradicts itself, and EBADF if a descriptor is not open.
  package init(isSocket: (_ name: String) -> Bool = { _ in true }) throws(Errno) {
    var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    let count = unsafe sd_listen_fds_with_names(1, &names)
    guard count >= 0 else { throw Errno(rawValue: -count) }
    var inherited: [Inherited] = []
    var stored: [(name: String, file: File)] = []
    for index in 0..<Int(count) {
      let descriptor = Descriptor(adopting: SD_LISTEN_FDS_START + CInt(index))
      var name = ""
      if let text = unsafe names?[index] {
        name = unsafe String(cString: text)
        unsafe free(text)
      }
      if isSocket(name) || Socket.isListening(descriptor) {
        inherited.append(Inherited(name: name, socket: Socket(descriptor)))
      } else {
        stored.append((name, File(descriptor)))
      }
    }
    unsafe free(names)
    self.inherited = inherited
    self.stored = stored
  }
}
