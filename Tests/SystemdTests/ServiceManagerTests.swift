import Foundation
import Harness
import SystemPackage
import TestSupport
import Testing

@testable import Kernel
@testable import Systemd

@Suite struct ServiceManagerTests {
  @Test func `each descriptor gets its name`() {
    #expect(Activation.names("warmstart:admin", count: 2) == ["warmstart", "admin"])
    #expect(Activation.names("warmstart:", count: 2) == ["warmstart", ""])
  }

  @Test(arguments: [nil, "", "warmstart", "a:b:c"])
  func `names that do not fit the descriptors are not used`(text: String?) {
    #expect(Activation.names(text, count: 2) == ["unknown", "unknown"])
  }

  @Test(arguments: ["path", "@abstract"])
  func `what is told arrives as one datagram`(kind: String) throws {
    let directory = try TemporaryDirectory()
    let name = kind == "path" ? "\(directory.path)/notify" : "@warmstart-\(UUID().uuidString)"
    let receiver = DatagramReceiver(name)
    try Socket.sendDatagram("READY=1", to: name)
    #expect(receiver.next() == "READY=1")
  }

  @Test func `telling nobody is an error`() {
    #expect(throws: Errno.noSuchFileOrDirectory) {
      try Socket.sendDatagram("READY=1", to: "/nowhere/notify")
    }
  }

  @Test func `a descriptor that was not passed is not taken`() {
    #expect(throws: Errno.badFileDescriptor) { _ = try Descriptor(inheriting: 1_000_000).release() }
  }
}
