/// A call of the daemon's services.
package enum Method: String, Sendable, CaseIterable {
  case hello = "/warmstart.v1.Warmstart/Hello"
  case attach = "/warmstart.v1.Warmstart/Attach"
  case open = "/warmstart.v1.Warmstart/Open"
  case close = "/warmstart.v1.Warmstart/Close"
  case list = "/warmstart.v1.Warmstart/List"
  case listObjects = "/warmstart.v1.Warmstart/ListObjects"
  case resolve = "/warmstart.v1.Warmstart/Resolve"
  case status = "/warmstart.v1.Warmstart/Status"
  case preload = "/warmstart.v1.Warmstart/Preload"
  case pin = "/warmstart.v1.Warmstart/Pin"
  case unpin = "/warmstart.v1.Warmstart/Unpin"
  case evict = "/warmstart.v1.Warmstart/Evict"
  case describe = "/warmstart.v1.Warmstart/Describe"
  case checkHealth = "/grpc.health.v1.Health/Check"
  case watchHealth = "/grpc.health.v1.Health/Watch"

  private static let all = allCases
  /// The path of each method as bytes: comparing strings would cost more than the rest of an
  /// envelope.
  private static let paths = all.map { Array($0.rawValue.utf8) }

  /// The path as it is sent.
  package var path: [UInt8] {
    let all = Method.all
    for index in all.indices where all[index] == self { return Method.paths[index] }
    preconditionFailure("every method is in the list of all")
  }
}
