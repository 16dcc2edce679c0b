internal import Foundation
package import WarmstartKernel

/// Ends writing on a socket, which the peer sees as its end.
package func halfClose(_ socket: Socket) {
  shutdown(socket.descriptor.borrowedNumber(), Int32(SHUT_WR))
}

/// Makes the kernel take no more than about that many bytes that the peer has not read.
package func setSendBuffer(_ socket: Socket, byteCount: Int32) {
  var value = byteCount
  setsockopt(
    socket.descriptor.borrowedNumber(), SOL_SOCKET, SO_SNDBUF, &value,
    socklen_t(MemoryLayout<Int32>.size))
}

/// Whether another program that this process becomes would not have the file.
package func closesOnExec(_ file: File) -> Bool {
  fcntl(file.descriptor.borrowedNumber(), F_GETFD) & FD_CLOEXEC != 0
}

/// The highest number of descriptors that this process may have from now on.
package func limitDescriptors(to count: UInt) {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  limit.rlim_cur = rlim_t(count)
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

/// The number of descriptors that this process has.
package func descriptorCount() -> Int {
  ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).count - 1
}

/// Waits, as a slow peer does.
package func pause(milliseconds: UInt32) {
  usleep(milliseconds * 1000)
}
