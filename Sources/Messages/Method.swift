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
  case describe = "/warmstart.v1.Warmstart/Describe"
  case checkHealth = "/grpc.health.v1.Health/Check"
  case watchHealth = "/grpc.health.v1.Health/Watch"

  /// The bytes of each method's path: comparing strings would cost more than the rest of an envelope.
  private static let paths = allCases.map { ($0, Array($0.rawValue.utf8)) }

  /// The call of a path; nil if the daemon has none.
  package init?(path: ArraySlice<UInt8>) {
    for (method, bytes) in Method.paths where bytes.count == path.count {
      // Methods differ in their last bytes.
      if bytes.last == path.last, path.elementsEqual(bytes) {
        self = method
        return
      }
    }
    return nil
  }

  /// The path as it is sent.
  package var path: [UInt8] { Method.paths.first { $0.0 == self }?.1 ?? [] }
}
