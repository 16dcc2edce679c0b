import Testing
import WarmstartTensorModel

@Suite struct BinarySearchTests {
  @Test(arguments: 3...9) func `finds the first position for which a condition holds`(first: Int) {
    #expect((3..<9).firstPosition { $0 >= first } == first)
  }

  @Test func `finds the end of a range without positions`() {
    #expect((4..<4).firstPosition { _ in true } == 4)
  }

  @Test func `asks about 17 of 100,000 positions at most`() {
    var asked = 0
    let found = (0..<100_000).firstPosition { position in
      asked += 1
      return position >= 70_000
    }
    #expect(found == 70_000)
    #expect(asked <= 17)
  }
}
