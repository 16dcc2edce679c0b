import Testing
import WarmstartTensorModel

/// Which names are suggested for a missing one.
@Suite struct NearestNamesTests {
  private func nearest(_ name: Name, _ candidates: [Name]) -> [Name] {
    var nearest = NearestNames(to: name)
    for candidate in candidates { nearest.offer(candidate) }
    return nearest.names
  }

  @Test(arguments: ["dense/kernl", "dense/kernle", "dens/kernel", "dense/kernelx", "Dense/kernel"])
  func `a name with a typing error is near`(name: String) {
    #expect(nearest(Name(name), ["dense/bias", "dense/kernel", "conv"]) == ["dense/kernel"])
  }

  @Test func `the nearest comes first, and three at most`() {
    let candidates: [Name] = ["abcdefgh12", "abcdefgh1", "abcdefgh123", "abcdefgX", "zzzzzzzz"]
    #expect(nearest("abcdefgh", candidates) == ["abcdefgh1", "abcdefgX", "abcdefgh12"])
  }

  @Test func `the same name in another scope is near, and nearer the more it shares`() {
    let candidates: [Name] = ["a/very/long/scope/kernel", "model/dense/kernel", "model/dense/bias"]
    #expect(
      nearest("dense/kernel", candidates) == ["model/dense/kernel", "a/very/long/scope/kernel"])
    #expect(nearest("some/other/scope/x", ["x"]) == ["x"])
    #expect(nearest("x", ["some/other/scope/x", "some/other/scopex"]) == ["some/other/scope/x"])
  }

  @Test(arguments: ["", "a", "/", "x/"])
  func `without a near name there is no suggestion`(name: String) {
    #expect(nearest(Name(name), ["weights/one", "completely/else"]) == [])
  }

  @Test func `between tensors' names dots and slashes are alike, and cost nothing`() {
    func nearest(separator: UInt8?) -> [Name] {
      var nearest = NearestNames(to: "a.b.c.d.e.f.kernl", separator: separator)
      nearest.offer("a/b/c/d/e/f/kernel")
      return nearest.names
    }
    #expect(nearest(separator: UInt8(ascii: "/")) == ["a/b/c/d/e/f/kernel"])
    #expect(nearest(separator: UInt8(ascii: ".")) == ["a/b/c/d/e/f/kernel"])
    #expect(nearest(separator: nil) == [])
  }

  @Test func `a name is suggested once`() {
    #expect(nearest("abcd", ["abce", "abce", "abce"]) == ["abce"])
  }

  @Test func `a change of bytes counts as edits of bytes`() {
    #expect(nearest("couche/e\u{301}", [Name("couche/é")]) == [Name("couche/é")])
  }

  @Test func `long names that are much alike end the search in time`() {
    let pattern = (0..<500).map { UInt8($0 % 7) }
    let candidates = (0..<1000).map { index in
      Name(ArraySlice([UInt8(index % 251)] + pattern.reversed() + [UInt8(index % 241)]))
    }
    #expect(nearest(Name(pattern[...]), candidates).count <= NearestNames.maximumCount)
  }

  @Test func `a name of one letter is near no other, but with a suffix it is`() {
    #expect(nearest("z", ["w", "z_ref", "zebra", "z_scope/a"]) == ["z_ref"])
  }
}
