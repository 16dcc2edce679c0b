import Testing
import WarmstartTensorModel
import WarmstartTestSupport

/// Random trainers, checkpoints and maps, resolved by the reference too.
@Suite struct RandomMapTests {
  private static let components = ["a", "b", "é", "part_0", "part_1", "x", "a", "\0", "", "a-"]

  @Test(arguments: 0..<40 as Range<UInt64>)
  func `random maps give what the reference gives`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for round in 0..<50 {
      let variables = Self.variables(&random)
      let tensors = Self.tensors(&random, variables)
      let map = Self.map(&random, variables)
      var reference = Reference(tensors)
      reference.variables = variables
      let outcome = Outcome(map, variables, Model.catalog(tensors))
      do throws(Reference.Refusal) {
        let expected = try reference.resolve(map)
        #expect(outcome == Outcome(assignments: expected), "seed \(seed), round \(round): \(map)")
      } catch {
        #expect(outcome.reasons.first == error.reason, "seed \(seed), round \(round): \(map)")
        guard let tensor = error.tensor else { continue }
        #expect(outcome.tensors.first == tensor, "seed \(seed), round \(round): \(map)")
      }
    }
  }

  private static func name(_ random: inout SeededRandom) -> String {
    let count = Int.random(in: 1...3, using: &random)
    return (0..<count).map { _ in components.randomElement(using: &random) ?? "" }
      .joined(separator: "/")
  }

  private static func tensors(
    _ random: inout SeededRandom, _ variables: [Variable]
  ) -> [(name: Name, dtype: DataType, shape: Shape, slices: [TensorSlice])] {
    var names: Set<Name> = ["a", "b", ""]
    for _ in 0..<20 { names.insert(Name(name(&random))) }
    // The targets, chosen so that maps match something.
    for variable in variables where Int.random(in: 0..<40, using: &random) > 0 {
      let whole = (variable.partition?.fullName ?? variable.name).description
      let inner = whole.drop { $0 != "/" }.dropFirst()
      for name in [whole, "a/" + whole, "b/" + whole, String(inner), "a/" + inner, "b/" + inner] {
        names.insert(Name(name))
      }
    }
    return names.sorted().map { name in
      let dtype: DataType = Int.random(in: 0..<15, using: &random) == 0 ? .int8 : .float32
      let shape: Shape = Int.random(in: 0..<10, using: &random) == 0 ? [3, 2] : [4, 3]
      guard Int.random(in: 0..<4, using: &random) == 0 else { return (name, dtype, shape, []) }
      let cut = Int.random(in: 1...2, using: &random)
      var slices = [
        TensorSlice(starts: [0, 0], counts: [cut, shape == [4, 3] ? 3 : 2]),
        TensorSlice(starts: [cut, 0], counts: [3 - cut, 2]),
        TensorSlice(starts: [cut, 2], counts: [3 - cut, 1]),
        TensorSlice(starts: [3, 0], counts: [1, 3]), TensorSlice(starts: [2, 1], counts: [1, 1]),
      ]
      slices.removeLast(Int.random(in: 0..<12, using: &random) == 0 ? 0 : 1)
      if Int.random(in: 0..<3, using: &random) == 0 { slices.removeLast() }
      return (name, dtype, shape, slices.shuffled(using: &random))
    }
  }

  private static func variables(_ random: inout SeededRandom) -> [Variable] {
    var variables: [Name: Variable] = [:]
    for _ in 0..<Int.random(in: 0...5, using: &random) {
      let name = Name(name(&random))
      let shape: Shape? =
        [[4, 3], [4, 3], [4, 3], [-1, 3], [4, 2], nil].randomElement(using: &random) ?? nil
      let isInStore = Int.random(in: 0..<5, using: &random) > 0
      variables[name] = Variable(name, dtype: .float32, shape: shape, isInStore: isInStore)
    }
    for _ in 0..<Int.random(in: 0...2, using: &random) {
      let name = Name(name(&random))
      let shape: Shape = Int.random(in: 0..<8, using: &random) == 0 ? [5, 3] : [4, 3]
      let partitioner: [Partitioner] = [.counts([2, 1]), .counts([1, 3]), .counts([4, 1])]
      let dtype: DataType = Int.random(in: 0..<12, using: &random) == 0 ? .int8 : .float32
      let parts = try? partitioner.randomElement(using: &random)?.cut(name, dtype, shape)
      for part in parts ?? [] where Int.random(in: 0..<12, using: &random) > 0 {
        variables[part.name] = part
      }
    }
    return variables.values.sorted { $0.name < $1.name }.shuffled(using: &random)
  }

  private static func map(_ random: inout SeededRandom, _ variables: [Variable]) -> AssignmentMap {
    let count = Int.random(in: 1...3, using: &random)
    return AssignmentMap(
      (0..<count).map { _ in
        let slash = Int.random(in: 0..<3, using: &random) > 0
        let key = ["", "a", "b", "a", "b", name(&random)].randomElement(using: &random) ?? ""
        return AssignmentMap.Pair(
          Name(slash ? key + "/" : key), target(&random, variables, isScope: slash))
      })
  }

  private static func target(
    _ random: inout SeededRandom, _ variables: [Variable], isScope: Bool
  ) -> AssignmentMap.Target {
    let names = variables.map(\.name)
    switch Int.random(in: 0..<(isScope ? 12 : 4), using: &random) {
    case 0: return names.randomElement(using: &random).map { .variable($0) } ?? "/"
    case 1:
      let owner = variables.randomElement(using: &random)?.partition?.fullName
      let list = variables.filter { $0.partition?.fullName == owner }.map(\.name)
      return .variables(Array(list.shuffled(using: &random).prefix(2)))
    case 2: return .name(variables.randomElement(using: &random)?.partition?.fullName ?? "a")
    case 3: return .name(names.randomElement(using: &random) ?? "b")
    case 4...6: return "/"
    case 7: return .name(Name(name(&random)))
    default: return .name(Name(name(&random) + "/"))
    }
  }
}
