import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel

/// What one `Resolve` asks for.
struct Question {
  let map: AssignmentMap
  let variables: [Variable]
  let options: Resolved.Options
  private let list: VariableList

  /// Throws INVALID_REQUEST for a variable without a name, or a partition that no message can describe.
  init(
    _ map: AssignmentMap, _ variables: [Variable], _ options: Resolved.Options
  ) throws(WarmstartError) {
    self.map = map
    self.variables = variables
    self.options = options
    list = VariableList(variables)
    guard UInt32(exactly: options.alignment) != nil else {
      throw WarmstartError(
        .invalidRequest,
        "alignment \(options.alignment), expected a power of two up to 4096, or 0")
    }
    if let nameless = variables.firstIndex(where: { $0.name.bytes.isEmpty }) {
      throw WarmstartError(.invalidRequest, "variable \(nameless), counted from 0, has no name")
    }
    guard !list.hasNoPartitions else { return }
    for index in variables.indices {
      guard let partition = variables[index].partition else { continue }
      guard partition.offset.count == partition.fullShape.rank else {
        throw WarmstartError(
          .invalidRequest,
          "variable \(variables[index].name) is at offset \(partition.offset) of "
            + "\(partition.fullName), whose shape is \(partition.fullShape)")
      }
    }
  }

  func prepared(_ reference: CheckpointReference, _ files: [File]) -> Client.PreparedCall {
    var wanted = ResolveRequest.Options()
    wanted.alignment = options.alignment
    wanted.sealed = options.sealed
    if options.skipMissing { wanted.resolution.insert(.skipMissing) }
    if options.skipMismatched { wanted.resolution.insert(.skipMismatched) }
    if options.lenient { wanted.resolution.insert(.lenient) }
    if options.requireAll { wanted.resolution.insert(.requireAll) }
    wanted.strides = options.strides
    wanted.objectNames = options.objectNames
    wanted.readAgain = options.readAgain
    wanted.namesUnusedTensors = options.namesUnusedTensors
    wanted.planOnly = options.planOnly
    let request = ResolveRequest(
      checkpoint: reference, map: map, variables: list, options: wanted)
    var features: [String] = []
    if options.sealed { features.append("sealed") }
    if options.strides { features.append("strides") }
    if options.objectNames { features.append("object_names") }
    if options.readAgain { features.append("read_again") }
    if options.requireAll { features.append("require_all") }
    if options.planOnly { features.append("plan_only") }
    return Client.PreparedCall(files: files, features: features) { frame, scratch in
      frame.begin(request, scratch)
    }
  }
}
