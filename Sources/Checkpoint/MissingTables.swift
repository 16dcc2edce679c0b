import WarmstartKernel
package import WarmstartTensorModel

extension FileSet {
  /// Adds the names of missing V1 tables to the message of the first problem that they may explain.
  package func explained(_ problems: [Problem]) -> [Problem] {
    let causes: Set<Reason> = [.tensorNotFound, .slicesIncomplete]
    guard isTables, let first = problems.firstIndex(where: { causes.contains($0.reason) }) else {
      return problems
    }
    let names = members.compactMap { member in member.file.name.map { Name($0[...]) } }
    guard let message = TableNames(names).message else { return problems }
    var problems = problems
    problems[first].message += "; \(message)"
    return problems
  }
}
