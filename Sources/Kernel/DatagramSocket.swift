import CWarmstartLinux
package import SystemPackage

/// A Unix datagram socket, which sends and never waits.
///
/// See `unix(7)`, SOCK_DGRAM.
package final class DatagramSocket: Sendable {
  private let descriptor: Descriptor

  package init() throws(Errno) {
    descriptor = Descriptor(adopting: try checked(clinux_datagram_socket()))
  }

  /// Sends all bytes to the socket at a path.
  ///
  /// Throws EAGAIN if that socket's queue is full, and EMSGSIZE if it takes no datagram of this
  /// length. See `sendto(2)`.
  package func send(_ bytes: RawSpan, to path: FilePath) throws(Errno) {
    let number = descriptor.number
    let sent = unsafe bytes.withUnsafeBytes { bytes in
      unsafe path.withPlatformString { path in
        unsafe clinux_send_datagram(number, path, bytes.baseAddress, bytes.count)
      }
    }
    _ = try checked(sent)
  }

  /// Whether a receiver has not received all that was sent.
  ///
  /// See `unix(7)`, SIOCOUTQ.
  package var hasUnread: Bool { clinux_unread(descriptor.number) > 0 }
}
