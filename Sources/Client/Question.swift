import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel

/// The arguments of one `resolve`, checked.
struct Question {
  let map: AssignmentMap
  let variables: [Variable]
  let options: Resolved.Options
  /// The variables whose axes are in another order than their tensor's, by position.
  private var transposes: [Int: [Int]] = [:]

  /// Throws INVALID_REQUEST for a variable without a name, for a partition whose offset has another
  /// rank than its variable, for an order of axes that no variable can have, and for an alignment
  /// that no message can carry.
  init(
    _ map: AssignmentMap, _ variables: [Variable], _ options: Resolved.Options
  ) throws(WarmstartError) {
    self.map = map
    self.variables = variables
    self.options = options
    guard UInt32(exactly: options.alignment) != nil else {
      throw WarmstartError.invalid(alignment: options.alignment)
    }
    if let separator = options.separator, (separator.asciiValue ?? 0) == 0 {
      throw WarmstartError(
        .invalidRequest,
        "the separator '\(String(separator).printable)' is not an ASCII character other than NUL")
    }
    // Property by property: a copy of a variable would count references to all its buffers.
    let all = variables.span
    for index in all.indices {
      guard !all[index].name.bytes.isEmpty else {
        throw WarmstartError(.invalidRequest, "variable \(index), counted from 0, has no name")
      }
      guard let rank = all[index].partition?.offset.count,
        rank != all[index].partition?.fullShape.lengths.count
      else { continue }
      throw Question.misplaced(variables[index])
    }
    if !options.transpose.isEmpty { transposes = try Question.transposes(options, variables) }
  }

  private static func transposes(
    _ options: Resolved.Options, _ variables: [Variable]
  ) throws(WarmstartError) -> [Int: [Int]] {
    var unknown = Set(options.transpose.keys)
    var transposes: [Int: [Int]] = [:]
    for (position, variable) in variables.enumerated() {
      // The name of a partitioned variable stands for all of its parts.
      let names = [variable.name, variable.partition?.fullName].compactMap { $0 }
      guard let name = names.first(where: { options.transpose[$0] != nil }),
        let axes = options.transpose[name]
      else { continue }
      unknown.remove(name)
      guard View.isOrder(axes, ofRank: variable.shape?.rank ?? axes.count) else {
        throw WarmstartError(
          .invalidRequest,
          "variable \(name) is transposed to axes \(View.inMessage(axes)), expected each of its axes "
            + "once")
      }
      transposes[position] = axes
    }
    if let name = unknown.min(by: { $0.description < $1.description }) {
      let nearest = NearestNames.suggestion(for: name, separator: UInt8(ascii: "/")) { nearest in
        for variable in variables {
          nearest.offer(variable.name)
          if let whole = variable.partition?.fullName { nearest.offer(whole) }
        }
      }
      throw WarmstartError(
        .invalidRequest, "variable \(name) is transposed, but not declared\(nearest)")
    }
    return transposes
  }

  private static func misplaced(_ variable: Variable) -> WarmstartError {
    guard let partition = variable.partition else {
      preconditionFailure("only a partition has a place")
    }
    return WarmstartError(
      .invalidRequest,
      "variable \(variable.name) is at offset \(partition.offset) of "
        + "\(partition.fullName), whose shape is \(partition.fullShape)")
  }

  /// The features that the daemon must have for these options.
  var features: [String] {
    var features: [String] = []
    if options.sealed { features.append("sealed") }
    if options.strides { features.append("strides") }
    if options.objectNames { features.append("object_names") }
    if options.readAgain { features.append("read_again") }
    if options.requireAll { features.append("require_all") }
    if options.separator != nil { features.append("separator") }
    if options.planOnly { features.append("plan_only") }
    if options.cast { features.append("cast") }
    if !transposes.isEmpty { features.append("transpose") }
    return features
  }

  /// Begins a frame whose body is the request.
  func write(about checkpoint: CheckpointReference, to frame: inout FieldWriter) {
    var wanted = ResolveRequest.Options()
    wanted.alignment = options.alignment
    wanted.sealed = options.sealed
    wanted.resolution = Resolution.Options(
      rawValue: bit(.skipMissing, options.skipMissing)
        | bit(.skipMismatched, options.skipMismatched) | bit(.lenient, options.lenient)
        | bit(.requireAll, options.requireAll) | bit(.cast, options.cast))
    wanted.strides = options.strides
    wanted.objectNames = options.objectNames
    wanted.readAgain = options.readAgain
    wanted.namesUnusedTensors = options.namesUnusedTensors
    wanted.planOnly = options.planOnly
    wanted.separator = options.separator?.asciiValue
    frame.begin(checkpoint, map, variables, wanted, transposes: transposes)
  }

  /// The bit of an option if it is set; a set's own methods are not specialized here.
  private func bit(_ option: Resolution.Options, _ isSet: Bool) -> UInt8 {
    isSet ? option.rawValue : 0
  }
}
