internal import CWarmstartLinux
internal import Foundation
internal import Glibc
package import WarmstartKernel
internal import WarmstartTestSupport

/// A file that a client may pass in place of a checkpoint's file.
package enum OddFile: String, Sendable, CaseIterable {
  case directory
  case fifo
  case readWriteFile
  case writeOnlyFile
  case pathOnly
  case pipe
  case nullDevice
  case socket
  case event
  case writableMemory
  /// A regular file like any other once it is open for reading only.
  case readOnlyMemory

  /// Whether the daemon accepts it as a checkpoint's file.
  package var isAcceptable: Bool { self == .readOnlyMemory }

  /// Opens one.
  ///
  /// A file on disk is removed at once.
  package func make() throws -> File {
    switch self {
    case .directory: try adopt(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    case .nullDevice: try adopt(open("/dev/null", O_RDONLY | O_CLOEXEC))
    case .event: try adopt(clinux_event())
    case .fifo:
      try named { path in
        guard mkfifo(path, 0o600) == 0 else { return -1 }
        return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
      }
    case .readWriteFile: try named { open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) }
    case .writeOnlyFile: try named { open($0, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600) }
    case .pathOnly: try adopt(open("/proc/self/exe", OddFile.pathFlag | O_CLOEXEC))
    case .pipe: try pair { Glibc.pipe($0) }
    case .socket: try pair { Glibc.socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, $0) }
    case .writableMemory: try adopt(clinux_memfd("odd"))
    case .readOnlyMemory: try readOnly(adopt(clinux_memfd("odd")))
    }
  }

  /// O_PATH, which Swift does not import.
  ///
  /// See `open(2)`.
  private static let pathFlag: Int32 = 0o10_000_000

  private func adopt(_ number: Int32) throws -> File {
    guard number >= 0 else { throw POSIXError(.EINVAL) }
    return File(Descriptor(adopting: number))
  }

  private func named(_ open: (String) -> Int32) throws -> File {
    let path = NSTemporaryDirectory() + "warmstart-odd-\(UUID().uuidString.prefix(8))"
    defer { unlink(path) }
    return try adopt(open(path))
  }

  private func readOnly(_ file: File) throws -> File {
    try adopt(clinux_reopen(file.descriptor.borrowedNumber()))
  }

  private func pair(_ make: (UnsafeMutablePointer<Int32>) -> Int32) throws -> File {
    var numbers: [Int32] = [-1, -1]
    guard make(&numbers) == 0 else { throw POSIXError(.EINVAL) }
    close(numbers[1])
    return try adopt(numbers[0])
  }
}
