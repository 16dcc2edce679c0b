internal import Foundation
package import WarmstartKernel

/// Changes to files that leave as few traces as a user can manage.
public enum QuietChange {
  /// Changes a byte in place and sets the time of modification back.
  public static func flip(_ path: String, at offset: Int) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { throw CocoaError(.fileReadUnknown) }
    try BundleFile.flip(path, at: offset)
    let times = [status.st_atim, status.st_mtim]
    guard utimensat(AT_FDCWD, path, times, 0) == 0 else { throw CocoaError(.fileWriteUnknown) }
  }

  /// Refers to an open file without the right to read it.
  package static func reference(to file: File) throws -> File {
    let number = file.descriptor.borrowedNumber()
    // O_PATH.
    let descriptor = open("/proc/self/fd/\(number)", 0x20_0000 | O_CLOEXEC)
    guard descriptor >= 0 else { throw CocoaError(.fileReadUnknown) }
    return File(Descriptor(adopting: descriptor))
  }

  /// Gives a file another name.
  public static func link(_ path: String, as other: String) throws {
    try FileManager.default.linkItem(atPath: path, toPath: other)
  }
}

/// A file's first page, mapped and dirty, so that further stores change none of the file's times.
public final class DirtyPage {
  private let bytes: UnsafeMutableRawPointer

  /// Maps the page and stores a byte at its start.
  public init(_ path: String, storing byte: UInt8) throws {
    let descriptor = open(path, O_RDWR)
    guard descriptor >= 0 else { throw CocoaError(.fileReadUnknown) }
    defer { close(descriptor) }
    let mapped = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let mapped, mapped != MAP_FAILED else { throw CocoaError(.fileReadUnknown) }
    bytes = mapped
    store(byte)
  }

  /// Stores a byte at the start of the page.
  public func store(_ byte: UInt8) {
    bytes.storeBytes(of: byte, as: UInt8.self)
  }

  deinit {
    munmap(bytes, 4096)
  }
}
