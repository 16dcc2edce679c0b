internal import Foundation

/// A datagram socket at a path, or at an abstract name that begins with "@", like a service
/// manager's.
public final class DatagramReceiver {
  private let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)

  /// Listens at a path or an abstract name.
  public init(_ name: String) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name.utf8) }
    if name.hasPrefix("@") { address.sun_path.0 = 0 }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + name.utf8.count)
    let failed = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
    }
    precondition(failed == 0)
  }

  deinit {
    close(descriptor)
  }

  /// Takes the next datagram without waiting; nil if none has come.
  public func next() -> String? {
    nextBytes().map { String(decoding: $0, as: UTF8.self) }
  }

  /// Takes the bytes of the next datagram without waiting; nil if none has come.
  public func nextBytes() -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 16384)
    let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    return count < 0 ? nil : Array(bytes.prefix(count))
  }
}
