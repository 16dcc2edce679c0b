internal import Foundation
package import WarmstartKernel

/// Ends writing on a socket; the peer reads the end of the stream.
package func halfClose(_ socket: Socket) {
  shutdown(socket.descriptor.borrowedNumber(), Int32(SHUT_WR))
}

/// Limits the bytes that the kernel takes before the peer reads them, approximately.
package func setSendBuffer(_ socket: Socket, byteCount: Int32) {
  var value = byteCount
  setsockopt(
    socket.descriptor.borrowedNumber(), SOL_SOCKET, SO_SNDBUF, &value,
    socklen_t(MemoryLayout<Int32>.size))
}

/// Whether the descriptor closes when this process executes another program.
package func closesOnExec(_ file: File) -> Bool {
  fcntl(file.descriptor.borrowedNumber(), F_GETFD) & FD_CLOEXEC != 0
}

/// Sets the most descriptors that this process may have.
package func limitDescriptors(to count: UInt) {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  limit.rlim_cur = rlim_t(count)
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

/// The number of this process's descriptors.
package func descriptorCount() -> Int {
  ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).count - 1
}

/// Waits, as a slow peer does.
package func pause(milliseconds: UInt32) {
  usleep(milliseconds * 1000)
}
