import CWarmstartLinux
package import SystemPackage

/// A Unix stream socket, which carries bytes, and descriptors with them.
///
/// See `unix(7)`.
package final class Socket: Sendable {
  /// The most descriptors that one message can carry.
  ///
  /// See `unix(7)`, SCM_MAX_FD.
  package static let maximumDescriptors = Int(CLINUX_MESSAGE_DESCRIPTORS)

  /// Who is at the other end, as the kernel recorded it when the connection was made.
  package struct Peer: Sendable, Hashable {
    package let uid: UInt32
    package let gid: UInt32
    /// For messages only: a process id may be another process's by now.
    package let pid: Int32

    package init(uid: UInt32, gid: UInt32, pid: Int32) {
      self.uid = uid
      self.gid = gid
      self.pid = pid
    }
  }

  package let descriptor: Descriptor

  /// Takes over a socket.
  package init(_ descriptor: consuming Descriptor) {
    self.descriptor = descriptor
  }

  /// Makes a listening socket at a path; replaces a socket that no process listens on any more.
  ///
  /// See `bind(2)`.
  package convenience init(
    listeningAt path: FilePath, mode: UInt32, backlog: Int32 = 4096
  ) throws(Errno) {
    let number = unsafe path.withPlatformString { unsafe clinux_listen($0, mode, backlog) }
    self.init(Descriptor(adopting: try checked(number)))
  }

  /// Connects to a listening socket.
  ///
  /// Throws EAGAIN if the listener's queue is full until the deadline. See `connect(2)`.
  package convenience init(
    connectingTo path: FilePath, until deadline: Deadline = .never
  ) throws(Errno) {
    let timeout = CInt(clamping: deadline.remainingMilliseconds ?? -1)
    let number = unsafe path.withPlatformString { unsafe clinux_connect($0, timeout) }
    self.init(Descriptor(adopting: try checked(number)))
  }

  /// Makes two sockets that are connected to each other.
  ///
  /// See `socketpair(2)`.
  package static func pair() throws(Errno) -> (Socket, Socket) {
    var left: CInt = -1
    var right: CInt = -1
    _ = try checked(unsafe clinux_socket_pair(&left, &right))
    return (Socket(Descriptor(adopting: left)), Socket(Descriptor(adopting: right)))
  }

  /// Takes the next waiting connection; blocks unless the listener was made not to.
  ///
  /// See `accept(2)`.
  package func accept() throws(Errno) -> Descriptor {
    Descriptor(adopting: try checked(clinux_accept(descriptor.number)))
  }

  /// Makes `accept` and reads throw EAGAIN instead of blocking.
  ///
  /// See `fcntl(2)`, O_NONBLOCK.
  package func setNonBlocking() throws(Errno) {
    _ = try checked(clinux_set_nonblocking(descriptor.number))
  }

  /// Whether this is a listening Unix stream socket, as a daemon expects to inherit.
  package var isListening: Bool { Socket.isListening(descriptor) }

  /// Whether a descriptor is a listening Unix stream socket.
  package static func isListening(_ descriptor: borrowing Descriptor) -> Bool {
    clinux_is_listening_unix_stream(descriptor.number) == 1
  }

  /// Who is at the other end.
  ///
  /// See `unix(7)`, SO_PEERCRED.
  package func peer() throws(Errno) -> Peer { try Socket.peer(of: descriptor) }

  /// Who is at the other end of a socket that is not wrapped yet.
  package static func peer(of descriptor: borrowing Descriptor) throws(Errno) -> Peer {
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    var pid: Int32 = 0
    _ = try checked(unsafe clinux_peer(descriptor.number, &uid, &gid, &pid))
    return Peer(uid: uid, gid: gid, pid: pid)
  }

  /// The groups of the process at the other end beside its first one, as they were when the
  /// connection was made.
  ///
  /// See `socket(7)`, SO_PEERGROUPS (Linux 4.13).
  package func peerGroups() throws(Errno) -> [UInt32] {
    var groups: [UInt32] = []
    while true {
      let room = groups.count
      let count = Int(
        try checked(
          unsafe groups.withUnsafeMutableBufferPointer { groups in
            unsafe clinux_peer_groups(descriptor.number, groups.baseAddress, groups.count)
          }))
      if count <= room { return Array(groups.prefix(count)) }
      groups = Array(repeating: 0, count: count)
    }
  }

  /// Ends reading, which wakes a thread that waits for bytes, or both directions.
  ///
  /// See `shutdown(2)`.
  package func shutDown(writingToo: Bool) {
    // ENOTCONN: the peer was faster.
    _ = clinux_shutdown(descriptor.number, 1, writingToo ? 1 : 0)
  }

  /// Ends writing: the peer reads what was sent, and then the end.
  ///
  /// See `shutdown(2)`.
  package func finishWriting() {
    // ENOTCONN: the peer was faster.
    _ = clinux_shutdown(descriptor.number, 0, 1)
  }

  /// Whether the peer has not received all that was sent.
  ///
  /// See `unix(7)`, SIOCOUTQ.
  package var hasUnread: Bool { clinux_unread(descriptor.number) > 0 }

  /// Whether the peer has closed its end, without reading.
  package func hasHungUp() -> Bool {
    do {
      return try Poll.wait(for: .hangUp, of: descriptor, until: .after(milliseconds: 0)) != nil
    } catch {
      // ENOMEM, the only possible error of a valid descriptor: the caller had better stop, too.
      return true
    }
  }

  /// Receives at most the range's bytes, and descriptors with them; 0 is the end.
  ///
  /// Throws EAGAIN if nothing has arrived and `waiting` is false. Throws EMFILE, and closes all
  /// that arrived, if the kernel dropped descriptors. See `recvmsg(2)`, `unix(7)`, SCM_RIGHTS.
  package func receive(
    into buffer: inout [UInt8], range: Range<Int>, descriptors: inout [File], waiting: Bool
  ) throws(Errno) -> Int {
    precondition(range.upperBound <= buffer.count)
    let number = descriptor.number
    let result = unsafe withUnsafeTemporaryAllocation(
      of: CInt.self, capacity: Socket.maximumDescriptors
    ) { numbers in
      var received = 0
      // The range was checked to lie in the buffer.
      let result = unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe clinux_receive(
          number, bytes.baseAddress?.advanced(by: range.lowerBound), range.count,
          numbers.baseAddress, &received, waiting ? 1 : 0)
      }
      for index in 0..<received {
        descriptors.append(File(Descriptor(adopting: unsafe numbers[index])))
      }
      return result
    }
    return try checked(result)
  }

  /// Sends bytes, with descriptors on the first byte; returns how many bytes were sent.
  ///
  /// When it returns, all descriptors were sent, even if some bytes were not: never send them
  /// again. Throws EAGAIN if the peer does not read and `waiting` is false. See `sendmsg(2)`.
  package func send(
    _ bytes: RawSpan, descriptors: [File] = [], waiting: Bool
  ) throws(Errno) -> Int {
    let number = descriptor.number
    // Most messages have none, and need no array for them.
    let numbers = descriptors.isEmpty ? [] : descriptors.map { $0.descriptor.number }
    return try unsafe bytes.withUnsafeBytes { bytes throws(Errno) -> Int in
      try checked(
        unsafe clinux_send(
          number, bytes.baseAddress, bytes.count, numbers, numbers.count, waiting ? 1 : 0))
    }
  }
}
