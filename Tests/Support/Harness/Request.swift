package import WarmstartMessages
package import WarmstartProtobuf
internal import WarmstartTensorModel

extension FieldWriter {
  /// Begins a frame whose body is the request, as the client library writes it.
  package mutating func begin(_ request: ResolveRequest, _: Scratch) {
    let variables = request.variables
    begin(
      request.checkpoint, request.map, (0..<variables.count).map { variables[$0] },
      request.options, gathers: variables.gathers, transposes: variables.axes)
  }
}
