import Kernel
package import TensorModel

extension FileSet {
  /// The problems, the first of which that a missing V1 table may have caused says which are missing.
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
