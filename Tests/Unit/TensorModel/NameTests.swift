import Testing
import WarmstartTensorModel
import WarmstartTestSupport

@Suite struct NameTests {
  /// Names of few different bytes, so that many begin alike or are equal, NUL and 0xff among them.
  private static let names: [Name] = {
    var random = SeededRandom(seed: 11)
    return (0..<300).map { _ in
      let count = Int.random(in: 0...20, using: &random)
      return Name(
        (0..<count).map { _ in [0, 1, 0x61, 0xff].randomElement(using: &random) ?? 0 }[...])
    }
  }()

  @Test func `names compare as their bytes do`() {
    for left in Self.names {
      for right in Self.names {
        #expect((left < right) == left.bytes.lexicographicallyPrecedes(right.bytes))
        #expect((left == right) == left.bytes.elementsEqual(right.bytes))
      }
    }
  }

  @Test func `a range of a buffer is the name with its bytes`() {
    let buffer: [UInt8] = Array("xmodel/layer_1/kernely".utf8)
    let part = Name(buffer[1..<buffer.count - 1])
    #expect(part == "model/layer_1/kernel")
    #expect(Set([part]).contains("model/layer_1/kernel"))
    #expect(!Set([part]).contains("model/layer_1/kerne"))
  }

  @Test func `an interpolated name has the bytes of the names in it`() {
    let strange = Name([0xff, 0x2f, 0x00][...])
    let number = 7
    let name = Name("\(strange)layer_\(number)")
    #expect(name.bytes.elementsEqual([0xff, 0x2f, 0x00] + Array("layer_7".utf8)))
    #expect(
      Variable("layer_\(number)/kernel", dtype: .float32, shape: [2]).name == "layer_7/kernel")
  }

  @Test func `keys and targets of a map may be interpolated`() {
    let number = 3
    let map: AssignmentMap = ["bert/layer_\(number)/": "student/layer_\(number)/"]
    #expect(map.pairs == [AssignmentMap.Pair("bert/layer_3/", .name("student/layer_3/"))])
  }
}
