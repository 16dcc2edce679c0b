internal import CWarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel

// The message `Gathers` of a request, both halves.

extension VariableList {
  /// Says of some variables which rows or columns they are made of.
  mutating func gather(_ message: Warmstart__V1__Gathers) throws(MessageError) {
    let variables = unsafe column(message.variables, message.n_variables)
    let axes = unsafe column(message.axes, message.n_axes)
    let counts = unsafe column(message.counts, message.n_counts)
    let indices = unsafe column(message.indices, message.n_indices)
    try expect(axes.count, variables.count, of: "gathers", "axes")
    try expect(counts.count, variables.count, of: "gathers", "counts")
    var rows: [Gather.Axis] = []
    var next = 0
    for row in variables.indices {
      let variable = Int(variables[row])
      guard variable < count else { throw .malformed("no variable \(variable)") }
      let goesOn = row > 0 && variables[row - 1] == variables[row]
      guard row == 0 || variables[row - 1] < variables[row] || goesOn && axes[row - 1] < axes[row]
      else { throw .malformed("gathers that are not in ascending order of variables and axes") }
      guard Int(counts[row]) <= indices.count - next else {
        throw .malformed("gathers with fewer indices than their counts say")
      }
      let end = next + Int(counts[row])
      if !goesOn { rows = [] }
      rows.append(Gather.Axis(Int(axes[row]), Array(indices[next..<end])))
      next = end
      let isLast = row + 1 == variables.count || variables[row + 1] != variables[row]
      if isLast { gather(variable, Gather(rows)) }
    }
    guard next == indices.count else {
      throw .malformed("gathers with more indices than their counts say")
    }
  }
}

extension FieldWriter {
  /// Puts in front what the variables at some positions are made of.
  mutating func prepend(_ gathers: [Int: Gather]) {
    let rows = gathers.sorted { $0.key < $1.key }.flatMap { position, gather in
      gather.axes.map { (position: position, axis: $0) }
    }
    let indices = rows.flatMap(\.axis.indices)
    prepend(field: 4, column: indices.span)
    prepend(field: 3, count: rows.count) { UInt32(rows[$0].axis.indices.count) }
    prepend(field: 2, count: rows.count) { UInt32(rows[$0].axis.axis) }
    prepend(field: 1, count: rows.count) { UInt32(rows[$0].position) }
  }
}
