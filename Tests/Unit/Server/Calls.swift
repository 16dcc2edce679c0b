import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel

/// The calls that most tests make.
extension Peer {
  /// Resolves a map, with all tensors' variables declared as float32 of any shape.
  @discardableResult
  func resolve(
    _ reference: CheckpointReference, _ map: AssignmentMap, _ variables: [Variable],
    files: [File] = [], timeout: Int? = nil, _ options: ResolveRequest.Options = .init()
  ) throws -> UInt64 {
    let request = ResolveRequest(
      checkpoint: reference, map: map, variables: VariableList(variables), options: options)
    return try call(.resolve, files: files, timeout: timeout) { $0.begin(request, $1) }
  }

  /// Opens a checkpoint, which must succeed, and returns its handle.
  func handle(_ passed: PassedFiles) throws -> UInt64 {
    try unpack(try open(passed.files, passed.reference), OpenReply.init(unpacking:_:)).handle
  }

  /// Closes a handle and returns the answer.
  func close(_ handle: UInt64) throws -> Answer {
    try call(.close) { $0.begin(CloseRequest(handle: handle), $1) }
    return try answer()
  }

  /// Asks for the status.
  func status() throws -> StatusReport {
    try call(.status)
    return try unpack(try answer(), StatusReport.init(unpacking:_:))
  }

  /// Passes files and returns their ids.
  func attach(_ files: [File]) throws -> [UInt64] {
    try call(.attach, files: files)
    return try unpack(try answer(), AttachReply.init(unpacking:_:)).ids
  }
}
