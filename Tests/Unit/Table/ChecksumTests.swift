import Testing
import WarmstartTable
import WarmstartTestSupport

@Suite struct ChecksumTests {
  @Test func `the check value of the polynomial is right`() {
    let digits = Array("123456789".utf8)
    var checksum = Checksum()
    checksum.update(bytes(digits))
    #expect(checksum.value == 0xe306_9283)
    #expect(checksum.masked == 0xc78a_b0e5)
    #expect(Checksum.masked(of: bytes(digits)) == 0xc78a_b0e5)
  }

  @Test func `the checksum of nothing is stored as the mask`() {
    #expect(Checksum().value == 0)
    #expect(Checksum().masked == 0xa282_ead8)
    let nothing: [UInt8] = []
    #expect(Checksum.masked(of: bytes(nothing)) == 0xa282_ead8)
  }

  @Test(arguments: [0, 1, 0xe306_9283, 0xffff_ffff, 0xa282_ead8] as [UInt32])
  func `unmasking undoes masking`(value: UInt32) {
    #expect(Checksum.unmask(Checksum.mask(value)) == value)
  }

  @Test func `pieces give the checksum of the whole`() {
    var random = SeededRandom(seed: 1)
    let data = random.bytes(3000)
    for cut in [0, 1, 7, 64, 1500, 2999, 3000] {
      var checksum = Checksum()
      checksum.update(bytes(data).extracting(..<cut))
      var resumed = Checksum(resuming: checksum.value)
      resumed.update(bytes(data).extracting(cut...))
      #expect(resumed.masked == Checksum.masked(of: bytes(data)))
    }
  }

  @Test func `checksums of all lengths and alignments agree with the definition`() {
    var random = SeededRandom(seed: 2)
    let data = random.bytes(600)
    for start in 0..<16 {
      for count in [0, 1, 2, 3, 5, 8, 13, 100, 255, 256, 257, 500] {
        let piece = Array(data[start..<start + count])
        var checksum = Checksum()
        checksum.update(bytes(data).extracting(start..<start + count))
        #expect(checksum.value == slowChecksum(piece))
      }
    }
  }

  @Test func `numbers are hashed low byte first`() {
    var numbers = Checksum()
    numbers.update(littleEndian: UInt32(0x0403_0201))
    numbers.update(littleEndian: UInt64(0x0c0b_0a09_0807_0605))
    #expect(numbers.value == slowChecksum(Array(1...12)))
  }

  /// A bit at a time, from the polynomial.
  private func slowChecksum(_ bytes: [UInt8]) -> UInt32 {
    var state = UInt32.max
    for byte in bytes {
      state ^= UInt32(byte)
      for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0x82f6_3b78 : state >> 1 }
    }
    return ~state
  }
}
