internal import CWarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel

// The message `Transposes` of a request, both halves.

extension VariableList {
  /// Says of some variables in which order they have their tensor's axes.
  mutating func transpose(_ message: Warmstart__V1__Transposes) throws(MessageError) {
    let variables = unsafe column(message.variables, message.n_variables)
    let ranks = unsafe column(message.ranks, message.n_ranks)
    let axes = unsafe column(message.axes, message.n_axes)
    try expect(ranks.count, variables.count, of: "transposes", "ranks")
    var next = 0
    for row in variables.indices {
      let variable = Int(variables[row])
      guard variable < count else { throw .malformed("no variable \(variable)") }
      guard row == 0 || variables[row - 1] < variables[row] else {
        throw .malformed("transposes that are not in ascending order of variables")
      }
      guard Int(ranks[row]) <= axes.count - next else {
        throw .malformed("transposes with fewer axes than their ranks say")
      }
      let end = next + Int(ranks[row])
      transpose(variable, axes[next..<end].map { Int($0) })
      next = end
    }
    guard next == axes.count else {
      throw .malformed("transposes with more axes than their ranks say")
    }
  }
}

extension FieldWriter {
  /// Puts in front in which order the variables at some positions have their tensor's axes.
  mutating func prepend(transposes: [Int: [Int]]) {
    let rows = transposes.sorted { $0.key < $1.key }
    let axes = rows.flatMap { $0.value.map { UInt32($0) } }
    prepend(field: 3, column: axes.span)
    prepend(field: 2, count: rows.count) { UInt32(rows[$0].value.count) }
    prepend(field: 1, count: rows.count) { UInt32(rows[$0].key) }
  }
}
