import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// Addresses that the kernel cannot use.
@Suite struct BadAddressTests {
  @Test func `a bad address that no handler can fix ends the process`() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/file"
    try BundleFile.write([], byteCount: 10_000, to: path)
    await #expect(processExitsWith: .failure) { [path = path as String] in
      let file = try File(opening: FilePath(path))
      let mapping = try Mapping(
        file.descriptor, offset: 0, byteCount: 10_000)
      try BundleFile.truncate(path, to: 0)
      let (near, far) = try Socket.pair()
      // Caught, so that only a trap ends the process.
      _ = try? near.send(mapping.bytes(0..<10_000), waiting: false)
      _ = far
    }
  }
}
