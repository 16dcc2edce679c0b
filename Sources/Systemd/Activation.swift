package import SystemPackage
package import WarmstartKernel

/// The sockets that the service manager opened for this process.
///
/// The manager says in the environment whose they are, how many, and their names; the first is
/// descriptor 3. The protocol is small and stable, and to load libsystemd for it, with the six
/// libraries that it needs, would take a third of an activation. See `sd_listen_fds(3)`.
package struct Activation {
  /// A socket and the name that its unit gave it (`FileDescriptorName=`).
  package struct Inherited {
    package let name: String
    package let socket: Socket
  }

  /// The first descriptor that the manager passes.
  private static let firstDescriptor = 3
  /// The name of a socket whose unit gives it none.
  private static let defaultName = "unknown"

  /// The sockets that were passed; empty if the process was started by hand.
  package let inherited: [Inherited]

  /// Takes over the sockets that were passed, and removes them from the environment.
  ///
  /// Call it once, before anything opens descriptors. The order of descriptors changes from start to
  /// start: find them by name.
  ///
  /// - Throws: EINVAL if the environment contradicts itself, and EBADF if a descriptor is not open.
  package init() throws(Errno) {
    defer {
      for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { Process.removeVariable(name) }
    }
    guard let process = Process.environment("LISTEN_PID"), Int(process) == Process.id,
      let text = Process.environment("LISTEN_FDS")
    else {
      inherited = []
      return
    }
    // As many as a process can have by default.
    guard let count = Int(text), (0...1024).contains(count) else { throw .invalidArgument }
    let names = Activation.names(count)
    guard names.count == count else { throw .invalidArgument }
    var inherited: [Inherited] = []
    for (position, name) in names.enumerated() {
      let descriptor = try Descriptor(inheriting: CInt(Activation.firstDescriptor + position))
      inherited.append(Inherited(name: name, socket: Socket(descriptor)))
    }
    self.inherited = inherited
  }

  private static func names(_ count: Int) -> [String] {
    guard let text = Process.environment("LISTEN_FDNAMES") else {
      return Array(repeating: defaultName, count: count)
    }
    if text.isEmpty { return [] }
    return text.split(separator: ":", omittingEmptySubsequences: false).map { String($0) }
  }
}
