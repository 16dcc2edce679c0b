import ArgumentParser
import WarmstartClient
import WarmstartTensorModel

/// `preload` has the daemon read a checkpoint before jobs ask for it.
struct Preload: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "preload",
    abstract: "Have the daemon read and verify a checkpoint, so that jobs wait for nothing.",
    discussion: """
      The checkpoint stays warm for the daemon's --linger (300 s) after the last job, unless memory \
      is short; `pin` keeps it longer, and in any case.
      """)

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var layout: LayoutOptions
  @OptionGroup var expectation: ExpectationOption

  @Argument(help: CheckpointArgument.help)
  var checkpoint: String

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let daemon = connection.daemon
      let reading = try layout.preload(
        try daemon.open(checkpoint), daemon, expecting: expectation.expectation, isQuiet: json)
      try Output.write(json ? reading.json.line : reading.text("ready"))
    }
  }
}

/// `verify` has the daemon read every stored byte again and compare checksums.
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Read every stored byte and compare its checksum; exit with 1 if one is damaged.",
    discussion: """
      TensorFlow's checkpoints have checksums, and so have archives of PyTorch and NumPy. Other bytes are \
      read, and only --expect finds changes there.
      """)

  @OptionGroup var connection: ConnectionOptions

  @OptionGroup var expectation: ExpectationOption

  @Argument(help: CheckpointArgument.help)
  var checkpoint: String

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let daemon = connection.daemon
      let opened = try daemon.open(checkpoint, expecting: expectation.expectation)
      let reading = try Reading(verifying: opened, daemon, isQuiet: json)
      let unchecked = expectation.expectation == nil ? reading.uncheckedByteCount : 0
      if unchecked > 0, !json {
        Output.complain(
          "warmstartctl: \(bytesText(unchecked)) of tensors have no checksum of their own: --expect "
            + "compares the whole files\n")
      }
      try Output.write(json ? reading.json.line : reading.text(unchecked == 0 ? "sound" : "read"))
    }
  }
}

/// `pin` preloads a checkpoint and keeps it resident.
struct Pin: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pin",
    abstract: "Preload a checkpoint and keep it until `unpin`; for administrators.",
    discussion: """
      The pin ends with `unpin`, when systemd stops the daemon, when a daemon without systemd ends, and \
      when a file of the checkpoint is deleted, replaced or changed.

      With --name, clients that cannot open the files ask for name:NAME instead of a path. Without \
      --allow-user and --allow-group, everyone who may connect can. If another checkpoint has the \
      name, the name moves to this one at once.

      With --lock, the kernel takes nothing of the checkpoint from memory until the pin ends. What is \
      locked counts towards the daemon's --budget and its LimitMEMLOCK=.

      \(AdministrationOptions.discussion)
      """)

  @OptionGroup var administration: AdministrationOptions
  @OptionGroup var layout: LayoutOptions
  @OptionGroup var publication: PublicationOptions
  @OptionGroup var expectation: ExpectationOption

  @Argument(help: CheckpointArgument.pathHelp)
  var checkpoint: String

  @Flag(help: "Lock the checkpoint into memory.")
  var lock = false

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let daemon = administration.daemon
      try daemon.requireAdministration()
      let publication = try publication.publication
      if try daemon.call({ _, _ throws(WarmstartError) in try Checkpoint.name(in: checkpoint) })
        != nil
      {
        throw Failure(
          .invalidRequest, "\(checkpoint) is a name, expected the path of a checkpoint to pin")
      }
      let layout = publication == nil ? layout : layout.sealing
      let reading = try layout.preload(
        try daemon.open(checkpoint), daemon, expecting: expectation.expectation, isQuiet: json)
      let replaced = try daemon.call { _, timeout throws(WarmstartError) in
        try reading.checkpoint.pin(as: publication, isLocked: lock, timeout: timeout)
      }
      if let publication, let replaced, !json {
        Output.complain(
          "warmstartctl: \(publication.name) was \(replaced.path.printable) "
            + "(\(replaced.generation)) before\n")
      }
      let name = publication.map { " as \($0.name)" } ?? ""
      try Output.write(
        json
          ? reading.json(publication, replaced).line
          : reading.text((lock ? "pinned and locked" : "pinned") + name))
    }
  }
}

enum CheckpointArgument {
  static let pathHelp: ArgumentHelp =
    "A directory with a state file or a model, a V2 prefix, or a file or pattern (in quotes)."
  static let help: ArgumentHelp = """
    A directory with a state file or a model, a V2 prefix, a file or pattern (in quotes), or the \
    name:NAME of a published checkpoint.
    """
}

/// How jobs will ask for the tensors.
struct LayoutOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Align every tensor as jobs will ask for it: a power of two, at most 4096 (64 for TensorFlow, \
      JAX and DLPack; default: the element's size).
      """, valueName: "bytes"))
  var align: Int?

  @Flag(help: "Put all tensors into memory that can never change.")
  var sealed = false

  /// The alignment as the client takes it: 0 for the element's size.
  var alignment: Int { align ?? 0 }

  /// The layout that clients of a published checkpoint get, who have no file to map.
  var sealing: LayoutOptions {
    var layout = self
    layout.sealed = true
    return layout
  }

  func validate() throws { try Self.check(align) }

  /// Has the daemon preload a checkpoint as jobs will ask for it.
  func preload(
    _ opened: Checkpoint, _ daemon: Daemon, expecting expectation: Expectation? = nil,
    isQuiet: Bool
  ) throws(Failure) -> Reading {
    try Reading(opened, daemon, isQuiet: isQuiet) {
      checkpoint, timeout, progress throws(WarmstartError) in
      try checkpoint.preload(
        alignment: alignment, sealed: sealed, expecting: expectation, timeout: timeout,
        progress: progress)
    }
  }

  /// Refuses an alignment that no job can have.
  static func check(_ align: Int?) throws {
    guard let align, align < 1 || align > Alignment.maximum || align & (align - 1) != 0 else {
      return
    }
    throw ValidationError(
      "--align: expected a power of two from 1 to \(Alignment.maximum), not \(align)")
  }
}

/// A checkpoint that the daemon has read, and what it read.
struct Reading {
  let checkpoint: Checkpoint
  private let preloaded: Checkpoint.Preloaded
  /// Why some tensors were not read.
  private let unread: [Problem]
  private let seconds: Double

  /// Verifies a checkpoint; a V1 table that is missing by the names of the others is a fault, too.
  init(verifying opened: Checkpoint, _ daemon: Daemon, isQuiet: Bool) throws(Failure) {
    let missing = opened.missingTables.map { [$0] } ?? []
    do throws(Failure) {
      try self.init(opened, daemon, isQuiet: isQuiet, notingMissing: false) {
        checkpoint, timeout, progress throws(WarmstartError) in
        try checkpoint.verify(timeout: timeout, progress: progress)
      }
    } catch {
      guard !missing.isEmpty else { throw error }
      throw Failure(missing + error.problems, about: opened.path)
    }
    if !missing.isEmpty { throw Failure(missing, about: opened.path) }
  }

  /// Has all of a checkpoint read, with a progress bar on a terminal.
  ///
  /// Complains about tensors that cannot be shared, and about missing V1 tables: they were not
  /// read.
  init(
    _ opened: Checkpoint, _ daemon: Daemon, isQuiet: Bool, notingMissing: Bool = true,
    _ read: (Checkpoint, Duration?, (Checkpoint.Progress) -> Void) throws(WarmstartError)
      -> Checkpoint.Preloaded
  ) throws(Failure) {
    let bar = ProgressBar(hidden: isQuiet)
    defer { bar.end() }
    preloaded = try daemon.call { _, timeout throws(WarmstartError) in
      try read(opened, timeout) { bar.show($0) }
    }
    seconds = bar.seconds
    checkpoint = opened
    let missing = notingMissing ? opened.missingTables.map { [$0] } ?? [] : []
    unread = preloaded.unshared + missing
    guard !isQuiet else { return }
    bar.end()
    for problem in unread {
      Output.complain("warmstartctl: not read: \(problem.message.printable)\n")
    }
  }

  /// The result for people: `models/bert: 301 tensors, 1.0 GiB ready (0.5 s, 2.0 GiB/s)`.
  func text(_ state: String) -> String {
    let rate = seconds > 0 ? Int(Double(preloaded.byteCount) / seconds) : 0
    let tenths = Int((seconds * 10).rounded())
    let noun = preloaded.tensorCount == 1 ? "tensor" : "tensors"
    return "\(checkpoint.path.printable): \(preloaded.tensorCount) \(noun), "
      + "\(bytesText(preloaded.byteCount)) \(state) "
      + "(\(tenths / 10).\(tenths % 10) s, \(bytesText(rate))/s)\n"
  }

  /// The stored bytes that the files have no checksum of.
  var uncheckedByteCount: Int { preloaded.uncheckedByteCount }

  var json: JSON { .object(fields) }

  /// The result of `pin`, with the name and the checkpoint that had it.
  func json(_ publication: Publication?, _ replaced: Checkpoint.Replaced?) -> JSON {
    var fields = fields
    if let publication { fields.append(("name", .text(publication.name.text))) }
    if let replaced {
      fields.append(
        (
          "replaced",
          .object([
            ("checkpoint", .text(replaced.path)), ("generation", .text(replaced.generation)),
          ])
        ))
    }
    return .object(fields)
  }

  private var fields: [(String, JSON)] {
    [
      ("checkpoint", .text(checkpoint.path)), ("generation", .text(checkpoint.generation)),
      ("tensor_count", .number(preloaded.tensorCount)),
      ("byte_count", .number(preloaded.byteCount)),
      ("unchecked_byte_count", .number(preloaded.uncheckedByteCount)),
      ("elapsed_ms", .number(Int(seconds * 1000))),
      ("unshared", .list(unread.map(JSON.init))),
    ]
  }
}

extension Daemon {
  /// Opens a checkpoint with this process's rights.
  func open(
    _ path: String, expecting expectation: Expectation? = nil
  ) throws(Failure) -> Checkpoint {
    try call { client, timeout throws(WarmstartError) in
      try client.open(path, expecting: expectation, timeout: timeout)
    }
  }
}
