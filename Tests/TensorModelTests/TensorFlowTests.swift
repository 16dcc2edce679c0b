import TensorModel
import Testing

/// Maps that a real TensorFlow resolved must come to the same here.
@Suite struct TensorFlowTests {
  @Test(arguments: tensorFlowCases.split(separator: "\n").map(String.init))
  func `a map comes to what it comes to in TensorFlow`(line: String) throws {
    let fields = line.split(separator: "|", omittingEmptySubsequences: false).map { field in
      field.split(separator: " ").map(String.init)
    }
    var variables = Model.variables(fields[0].map { Name($0) })
    for name in fields[1] { variables += try Model.partitions(Name(name)) }
    // A word is a pair; what has no word before or behind the arrow is the empty name.
    let pairs = fields[2].map { pair in
      let arrow = pair.firstIndex(of: ">") ?? pair.endIndex
      return AssignmentMap.Pair(
        Name(pair[..<arrow]), .name(Name(pair[pair.index(after: arrow)...])))
    }
    let catalog = Model.catalog(tensorFlowTensors.split(separator: " ").map { Name($0) })
    let outcome = Outcome(AssignmentMap(pairs), variables, catalog)
    guard let refusal = fields[3].first, refusal.hasPrefix("!") else {
      #expect(outcome.reasons.isEmpty)
      #expect(outcome.assignments.sorted() == fields[3].sorted())
      return
    }
    switch refusal {
    // TensorFlow raises an AttributeError for both.
    case "!INVALID_REQUEST":
      #expect([.invalidRequest, .slicesDiffer].contains(outcome.reasons.first))
    case "!TENSOR_NOT_FOUND":
      #expect(outcome.reasons.first == .tensorNotFound)
      #expect(outcome.tensors.first == Name(fields[3].dropFirst().joined(separator: " ")))
    default: #expect(outcome.reasons.first?.rawValue == String(refusal.dropFirst()))
    }
  }
}
