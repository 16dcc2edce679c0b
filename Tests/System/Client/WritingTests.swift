import Foundation
import Testing
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

/// Who may see and write the bytes of a tensor, and as which type.
@Suite struct WritingTests {
  private let daemon: RunningDaemon
  private let checkpoint: Checkpoint

  init() throws {
    daemon = try RunningDaemon()
    var writer = Fixture.writer
    writer.add("flags", dtype: 10, [3], [0, 1, 1])
    writer.add("odd flags", dtype: 10, [3], [0, 1, 2])
    writer.add("brain", dtype: 14, [2], [0x80, 0x3f, 0, 0xc0])
    let bundle = try writer.write(to: daemon.directory.path(percentEncoded: false))
    checkpoint = try Client(socket: daemon.socketPath).open(bundle.prefix)
  }

  private func resolve(_ tensor: Name, _ shape: Shape, _ dtype: DataType) throws -> Tensor {
    let (map, variables) = Fixture.whole(tensor, shape, dtype)
    var options = Resolved.Options()
    options.copyOnWrite = true
    options.alignment = 64
    return try #require(
      try checkpoint.resolve(assigning: map, to: variables, options: options).tensors.first)
  }

  @Test func `threads write copies of their own while others read the tensor`() throws {
    let tensor = try resolve("a", [64, 32], .float32)
    let areRight = try together(4) { number in
      for _ in 0..<20 {
        guard number % 2 == 0 else {
          let shared = try tensor.elements(as: Float.self)
          guard shared.indices.allSatisfy({ shared[$0] == Float($0) }) else { return false }
          continue
        }
        var mine = try tensor.writable()
        var elements = try mine.mutableElements(as: Float.self)
        for index in elements.indices { elements[index] = Float(number) - elements[index] }
        let written = try mine.elements(as: Float.self)
        guard written.indices.allSatisfy({ written[$0] == Float(number) - Float($0) }) else {
          return false
        }
      }
      return true
    }
    #expect(areRight == [true, true, true, true])
  }

  @Test func `variables of one tensor are written apart`() throws {
    let variables = ["left", "right"].map {
      Variable(Name($0), dtype: .float32, shape: [4], isInStore: false)
    }
    var options = Resolved.Options()
    options.copyOnWrite = true
    let map = AssignmentMap([
      .init("odd", .variable("left")), .init("odd", .variable("right")),
    ])
    let tensors = try checkpoint.resolve(assigning: map, to: variables, options: options).tensors
    var left = try tensors[0].writable()
    var bytes = left.mutableBytes
    bytes.storeBytes(of: 0xff, toByteOffset: 0, as: UInt8.self)
    let right = try tensors[1].writable()
    #expect(try right.elements(as: Float.self)[0] == 0)
    let first = Span<UInt8>(_bytes: left.bytes)[0]
    #expect(first == 0xff)
  }

  @Test func `truth values are seen as such, unless a byte is none`() throws {
    let flags = try resolve("flags", [3], .bool)
    let values = try flags.elements(as: Bool.self)
    #expect(values.indices.map { values[$0] } == [false, true, true])
    let odd = try resolve("odd flags", [3], .bool)
    let error = #expect(throws: WarmstartError.self) { _ = try odd.elements(as: Bool.self).count }
    #expect(error?.reason == .corrupt)
    #expect(error?.message == "variable v is bool, but a byte at 2 is neither 0 nor 1")
    let bits = try odd.bits(as: UInt8.self)
    #expect(bits[2] == 2)
  }

  @Test func `a dtype without a Swift type has bits`() throws {
    let brain = try resolve("brain", [2], .bfloat16)
    let bits = try brain.bits(as: UInt16.self)
    #expect(bits.indices.map { Float(bitPattern: UInt32(bits[$0]) << 16) } == [1, -2])
    let error = #expect(throws: WarmstartError.self) {
      _ = try brain.elements(as: Float16.self).count
    }
    #expect(
      error?.message
        == "variable v is bfloat16, which Float16 cannot view; it has no Swift type, only bits")
  }
}
