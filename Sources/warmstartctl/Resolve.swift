import ArgumentParser
import WarmstartClient
import WarmstartTensorModel

/// `resolve` prints what an assignment map gives each variable, and writes the bytes on request.
struct Resolve: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resolve",
    abstract: "Resolve an assignment map as TensorFlow's init_from_checkpoint does.",
    discussion: """
      The map is a JSON file ([[key, target], …] or an object; a target is "name", "scope/", \
      {"variable": name} or {"variables": [name, …]}), or pairs on the command line. The variables \
      are declared in a JSON file: {"variables": [{"name", "dtype", "shape", "partitions"?, \
      "slice"?, "store"?}]}.
      """)

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var expectation: ExpectationOption

  @Argument(help: CheckpointArgument.help)
  var checkpoint: String

  @Option(help: ArgumentHelp("The assignment map, unless --assign gives it.", valueName: "file"))
  var map: String?

  @Option(
    help: ArgumentHelp(
      "A pair of the map, to a variable or a scope/; may be repeated.", valueName: "key=target"))
  var assign: [Pair] = []

  @Option(help: ArgumentHelp("The file that declares all variables.", valueName: "file"))
  var variables: String

  @Option(
    help: ArgumentHelp(
      "Align every variable to a power of two, at most 4096 (default: the element's size).",
      valueName: "bytes"))
  var align: Int?

  @Flag(help: "Use only sealed memory, which never changes, and no mapped files.")
  var sealed = false

  @Flag(help: "Skip and report variables whose tensor is missing.")
  var skipMissing = false

  @Flag(
    help: "Skip and report variables whose tensor has another shape (another dtype is an error).")
  var skipMismatched = false

  @Flag(help: "Accept unused pairs and a map that assigns nothing, as TensorFlow does.")
  var lenient = false

  @Flag(help: "Fail if any variable is matched by no pair of the map.")
  var requireAll = false

  @Flag(
    help: """
      Take the map's keys as the variables' names in a TF2 checkpoint, or the layers' names in a \
      Keras file, not as the checkpoint's keys.
      """)
  var objectNames = false

  @Option(
    help: ArgumentHelp(
      "The character that ends a scope's name beside / (default: that of the checkpoint's format).",
      valueName: "character"))
  var separator: String?

  @Flag(help: "Cast floating-point numbers to their variable's dtype, rounded to nearest.")
  var cast = false

  @Option(
    help: ArgumentHelp(
      "Give a variable its tensor's axes in another order (kernel=1,0); may be repeated.",
      valueName: "variable=axes"))
  var transpose: [Transpose] = []

  @Option(
    help: ArgumentHelp(
      "Write each variable as a .npy file to a new directory, or one without .npy files.",
      discussion: """
        Files are named by position and variable, 0-student_bias.npy, strings' offsets and bytes \
        0-words.offsets.npy and 0-words.bytes.npy; --json says which is whose.
        """,
      valueName: "dir"))
  var output: String?

  @Flag(help: "Only report what would be assigned; read and map no tensor.")
  var dryRun = false

  @Flag(help: "Print one line of JSON.")
  var json = false

  func validate() throws {
    guard (map == nil) != assign.isEmpty else {
      throw ValidationError("expected either --map or --assign")
    }
    try LayoutOptions.check(align)
    if let separator, separator.count != 1 || separator.first?.asciiValue == nil {
      throw ValidationError("expected one ASCII character for --separator, got '\(separator)'")
    }
    var transposed: Set<Name> = []
    for variable in transpose.map(\.variable) where !transposed.insert(variable).inserted {
      throw ValidationError("expected one --transpose for variable \(variable), got several")
    }
    if dryRun, output != nil {
      throw ValidationError("expected --dry-run or --output, not both: a dry run reads no tensor")
    }
  }

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let map = try map.map(MapFile.read) ?? AssignmentMap(assign.map(\.pair))
      let variables = try VariablesFile.read(variables)
      let directory = try output.map(NpyDirectory.init)
      let daemon = connection.daemon
      let opened = try daemon.call { client, timeout throws(WarmstartError) in
        try client.open(checkpoint, expecting: expectation.expectation, timeout: timeout)
      }
      let resolved = try daemon.call { _, timeout throws(WarmstartError) in
        try opened.resolve(assigning: map, to: variables, options: options, timeout: timeout)
      }
      let files = try directory.map { directory throws(Failure) in
        try write(resolved, from: opened.path, to: directory)
      }
      try Output.write(
        json
          ? ResolveReport(opened, resolved, files ?? []).json.line : resolved.text(isPlan: dryRun))
    }
  }

  private var options: Resolved.Options {
    var options = Resolved.Options()
    options.alignment = align ?? 0
    options.sealed = sealed
    options.skipMissing = skipMissing
    options.skipMismatched = skipMismatched
    options.lenient = lenient
    options.requireAll = requireAll
    options.objectNames = objectNames
    options.namesUnusedTensors = true
    options.planOnly = dryRun
    options.separator = separator?.first
    options.cast = cast
    for transpose in transpose { options.transpose[transpose.variable] = transpose.axes }
    return options
  }

  /// Writes the files, if requested; they are in the order of the variables.
  private func write(
    _ resolved: Resolved, from checkpoint: String, to directory: NpyDirectory
  ) throws(Failure) -> [NpyDirectory.Written] {
    var files: [NpyDirectory.Written] = []
    for (index, tensor) in resolved.tensors.enumerated() {
      let stem = Npy.stem(index, of: resolved.tensors.count, tensor.variable.name)
      files.append(try directory.write(tensor, from: checkpoint, stem: stem))
    }
    return files
  }

  /// A variable and its axes from the command line: the last `=` ends the name.
  struct Transpose: ExpressibleByArgument {
    let variable: Name
    let axes: [Int]

    init?(argument: String) {
      guard let equals = argument.lastIndex(of: "=") else { return nil }
      variable = Name(argument[..<equals])
      let words = argument[argument.index(after: equals)...].split(
        separator: ",", omittingEmptySubsequences: false)
      axes = words.compactMap { Int($0) }
      guard axes.count == words.count else { return nil }
    }
  }

  /// A pair from the command line: the first `=` ends the key.
  struct Pair: ExpressibleByArgument {
    let pair: AssignmentMap.Pair

    init?(argument: String) {
      guard let equals = argument.firstIndex(of: "=") else { return nil }
      pair = AssignmentMap.Pair(
        Name(argument[..<equals]), .name(Name(argument[argument.index(after: equals)...])))
    }
  }
}

extension Resolved {
  /// A line for each variable, then what the map left undone, and a summary.
  fileprivate func text(isPlan: Bool) -> String {
    var table = Columns([.left, .left, .left, .left] + (isPlan ? [] : [.left, .right]))
    for tensor in tensors {
      var cells = [
        tensor.variable.name.description, "← \(tensor.tensor)", tensor.dtype.name,
        tensor.shape.description,
      ]
      if !isPlan {
        cells += ["\(tensor.region.kind.rawValue) \(tensor.region.id)", String(tensor.offset)]
      }
      table.add(cells)
    }
    var text = table.text
    for skipped in skipped { text += "skipped: \(skipped)".printable + "\n" }
    for pair in unused { text += "unused: \(pair.key) → \(pair.target.text)".printable + "\n" }
    for variable in uncovered.prefix(Self.shownNames) { text += "not covered: \(variable.name)\n" }
    if uncovered.count > Self.shownNames {
      text += "not covered: … and \(uncovered.count - Self.shownNames) more\n"
    }
    return text + (isPlan ? "dry run: " : "") + summary + "\n"
  }

  private var summary: String {
    "assigned \(tensors.count) of \(declaredCount) variables (\(skipped.count) skipped, "
      + "\(uncovered.count) not covered); \(unused.count) pairs and \(unusedTensorCount) of "
      + "\(checkpoint.tensorCount) tensors unused"
  }

  /// The most uncovered variables that people see; scripts get all.
  ///
  /// Chosen, not tuned.
  private static let shownNames = 20
}

extension AssignmentMap.Target {
  fileprivate var text: String {
    switch self {
    case .name(let name), .variable(let name): name.description
    case .variables(let names): "[" + names.map(\.description).joined(separator: ", ") + "]"
    }
  }
}

/// The output of `resolve --json`.
struct ResolveReport {
  private let checkpoint: Checkpoint
  private let resolved: Resolved
  private let files: [NpyDirectory.Written]

  /// Describes a result; `files` are those of its tensors, or empty.
  init(_ checkpoint: Checkpoint, _ resolved: Resolved, _ files: [NpyDirectory.Written]) {
    self.checkpoint = checkpoint
    self.resolved = resolved
    self.files = files
  }

  var json: JSON {
    let tensors = resolved.tensors.enumerated().map { index, tensor in
      describe(tensor, files.isEmpty ? nil : files[index])
    }
    let skipped = resolved.skipped.map { skipped in
      var fields: [(String, JSON)] = [
        ("variable", .name(skipped.variable.name)), ("tensor", .name(skipped.tensor)),
      ]
      if let shape = skipped.storedShape {
        fields.append(("tensor_shape", .numbers(shape.lengths)))
      }
      return JSON.object(fields)
    }
    let unused = resolved.unused.map { JSON.list([.name($0.key), JSON($0.target)]) }
    return .object([
      ("checkpoint", .text(checkpoint.path)), ("generation", .text(checkpoint.generation)),
      ("declared_count", .number(resolved.declaredCount)), ("tensors", .list(tensors)),
      ("skipped", .list(skipped)), ("unused", .list(unused)),
      ("uncovered", .list(resolved.uncovered.map { .name($0.name) })),
      ("unused_tensor_count", .number(resolved.unusedTensorCount)),
      ("unused_tensors", .list(resolved.unusedTensors.map(JSON.name))),
    ])
  }

  private func describe(_ tensor: Tensor, _ written: NpyDirectory.Written?) -> JSON {
    var fields: [(String, JSON)] = [
      ("variable", .name(tensor.variable.name)), ("tensor", .name(tensor.tensor)),
      ("dtype", .text(tensor.dtype.name)), ("shape", .numbers(tensor.shape.lengths)),
      ("byte_count", .number(tensor.byteCount)), ("strides", .numbers(tensor.allStrides)),
    ]
    if let partition = tensor.variable.partition {
      fields.append(
        (
          "slice",
          .object([
            ("full_name", .name(partition.fullName)),
            ("full_shape", .numbers(partition.fullShape.lengths)),
            ("offset", .numbers(partition.offset)), ("shape", .numbers(tensor.shape.lengths)),
          ])
        ))
    }
    guard tensor.region.kind != .planned else { return .object(fields) }
    fields += [
      (
        "region",
        .object([
          ("id", .number(tensor.region.id)), ("kind", .text(tensor.region.kind.rawValue)),
          ("stability", .text(tensor.region.stability.rawValue)),
        ])
      ), ("offset", .number(tensor.offset)), ("alignment", .number(tensor.alignment)),
    ]
    if let written { fields.append(("file", .text(written.file))) }
    if let bytesFile = written?.bytesFile { fields.append(("bytes_file", .text(bytesFile))) }
    return .object(fields)
  }
}

extension JSON {
  /// Makes a target as a map file spells it.
  fileprivate init(_ target: AssignmentMap.Target) {
    switch target {
    case .name(let name): self = .name(name)
    case .variable(let name): self = .object([("variable", .name(name))])
    case .variables(let names): self = .object([("variables", .list(names.map(JSON.name)))])
    }
  }
}

extension Tensor {
  /// The strides, computed for a dense array; for strings, those of their offsets.
  fileprivate var allStrides: [Int] {
    guard strides.isEmpty else { return strides }
    var all: [Int] = []
    var step = dtype.byteCount ?? 8
    for length in shape.lengths.reversed() {
      all.append(step)
      // The lengths of an array without elements may have a product that does not fit.
      step = step.multipliedReportingOverflow(by: max(1, length)).partialValue
    }
    return all.reversed()
  }
}
