package import Kernel
package import SystemPackage

/// The sockets that the service manager opened for this process.
package struct Activation {
  /// A socket and the name that its unit gave it (`FileDescriptorName=`).
  package struct Inherited {
    package let name: String
    package let socket: Socket
  }

  /// The first descriptor that is passed.
  ///
  /// See `sd_listen_fds(3)`, SD_LISTEN_FDS_START.
  private static let firstNumber: CInt = 3
  /// Far more than any unit has; chosen, not tuned.
  private static let mostSockets = 64

  /// What was passed; empty if the process was started by hand.
  package let inherited: [Inherited]

  /// Takes over what was passed.
  ///
  /// Call it once, before anything opens descriptors. Throws EINVAL if what is said of the sockets
  /// makes no sense, and EBADF if they are not there.
  ///
  /// The order of descriptors changes from start to start: find them by name. See
  /// `sd_listen_fds_with_names(3)`.
  package init() throws(Errno) {
    // They may be meant for a parent that did not clean up after itself.
    guard Process.environment("LISTEN_PID") == String(Process.id),
      let text = Process.environment("LISTEN_FDS")
    else {
      inherited = []
      return
    }
    guard let count = Int(text), 0...Activation.mostSockets ~= count else {
      throw .invalidArgument
    }
    let names = Activation.names(Process.environment("LISTEN_FDNAMES"), count: count)
    var inherited: [Inherited] = []
    for (index, name) in names.enumerated() {
      let descriptor = try Descriptor(inheriting: Activation.firstNumber + CInt(index))
      inherited.append(Inherited(name: name, socket: Socket(descriptor)))
    }
    self.inherited = inherited
  }

  /// The names of so many descriptors; all are "unknown" if not each has one.
  static func names(_ text: String?, count: Int) -> [String] {
    let names = (text ?? "").split(separator: ":", omittingEmptySubsequences: false)
    guard names.count == count else { return Array(repeating: "unknown", count: count) }
    return names.map(String.init)
  }
}
