import Testing
import WarmstartTensorModel

/// Requests that contradict themselves are refused before anything is resolved.
@Suite struct DeclarationTests {
  let catalog = Model.catalog(["v", "p"])

  private func refusal(_ map: AssignmentMap, _ variables: [Variable]) -> Problem? {
    let found = problems(map, variables, catalog)
    #expect(found?.all.allSatisfy { $0.reason == .invalidRequest } == true)
    return found?.first
  }

  @Test(arguments: [["/": "/"], ["v": "v"], [:], ["none": .variable("v")]] as [AssignmentMap])
  func `a name declared twice is refused`(map: AssignmentMap) {
    let twice = Model.variables(["a", "v", "b", "v"])
    #expect(refusal(map, twice)?.variable == "v")
    let outside =
      Model.variables(["v"]) + [Variable("v", dtype: .float32, shape: [2], isInStore: false)]
    #expect(refusal(map, outside)?.variable == "v")
  }

  @Test func `names that only look alike are different names`() {
    let variables = Model.variables([Name("é"), Name("e\u{301}"), "a", Name([0x61, 0])])
    #expect(problems([:], variables, catalog, .lenient) == nil)
  }

  @Test func `an object that is not declared is refused with the nearest names`() {
    let variables = Model.variables(["dense/kernel"])
    let single = refusal(["v": .variable("dense/kernal")], variables)
    #expect(single?.variable == "dense/kernal")
    #expect(single?.message.hasSuffix("nearest: dense/kernel") == true)
    let listed = refusal(["v": .variables(["dense/kernel", "x"])], variables)
    #expect(listed?.variable == "x")
  }

  @Test(arguments: [[-2], [2, Int.min], [-1, -5]] as [Shape])
  func `a negative length is refused`(shape: Shape) {
    #expect(refusal([:], Model.variables(["v"], shape))?.variable == "v")
  }

  @Test(
    arguments: [
      (nil, [4], [0]), ([Shape.unknownLength], [4], [0]), ([2], [Shape.unknownLength], [0]),
      ([2], [-4], [0]), ([2, 1], [4], [0]), ([2], [4, 1], [0]), ([2], [4], []), ([2], [4], [0, 0]),
      ([], [4], [0]),
    ] as [(Shape?, Shape, [Int])])
  func `a partition of unknown or different rank is refused`(
    shape: Shape?, fullShape: Shape, offset: [Int]
  ) {
    let partition = Partition(of: "p", fullShape: fullShape, offset: offset)
    let variable = Variable("p/part_0", dtype: .float32, shape: shape, partition: partition)
    #expect(refusal(["p": "p"], [variable])?.variable == "p/part_0")
  }

  @Test func `exactly the faulty declarations are listed`() {
    let variables = Model.variables(["a", "a"]) + Model.variables(["b"], [-3])
    let found = problems(["none": "a", "x": .variable("c")], variables, catalog)
    #expect(found?.all.map(\.variable) == ["a", "b", "c"])
  }
}
