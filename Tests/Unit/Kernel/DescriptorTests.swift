import Glibc
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// Which value closes a descriptor, and when.
@Suite struct DescriptorTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/file"
    try BundleFile.write([], byteCount: 10_000, to: path)
  }

  private func file() throws -> File { try File(opening: FilePath(path)) }

  @Test func `a file is closed once, after its last user`() throws {
    var first: File? = try file()
    let second = first
    first = nil
    #expect(try directory.openFiles() == [path])
    #expect(try second?.status().size == 10_000)
    func forget(_ file: consuming File?) { file = nil }
    forget(consume second)
    #expect(try directory.openFiles() == [])
    _ = first
  }

  @Test func `a released descriptor is the caller's to close`() throws {
    let number = try release()
    #expect(try directory.openFiles() == [path])
    let owned = Descriptor(adopting: number)
    let borrowed = owned.borrowedNumber()
    #expect(borrowed == number)
    close(owned)
    #expect(try directory.openFiles() == [])
  }

  private func release() throws -> CInt {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    return Descriptor(adopting: number).release()
  }

  private func close(_ descriptor: consuming Descriptor) {}

  @Test func `a duplicate outlives the original and is closed on exec`() throws {
    let duplicate = try duplicateOnly()
    let flags = fcntl(duplicate.borrowedNumber(), F_GETFD)
    #expect(flags == FD_CLOEXEC)
    let file = File(duplicate)
    #expect(try file.status().size == 10_000)
  }

  private func duplicateOnly() throws -> Descriptor {
    let original = try file()
    return try original.descriptor.duplicate()
  }

  @Test func `closing a descriptor that other code closed ends the process`() async {
    await #expect(processExitsWith: .failure) {
      let number = unsafe open("/dev/null", O_RDONLY)
      let descriptor = Descriptor(adopting: number)
      _ = Glibc.close(number)
      _ = consume descriptor
    }
  }
}
