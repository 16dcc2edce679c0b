import ArgumentParser
import WarmstartClient
import WarmstartTensorModel

/// `list` prints the tensors of a checkpoint, or the objects that it was saved from.
struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the tensors of a checkpoint: name, dtype, shape, bytes and stored slices.")

  @OptionGroup var connection: ConnectionOptions

  @Argument(help: CheckpointArgument.help)
  var checkpoint: String

  @Flag(
    help:
      "List the objects that TF2 saved, with their tensors, or the layers' names in a Keras file.")
  var objects = false

  @Flag(help: "Read every tensor and compare its checksums; exit with 1 if one is damaged.")
  var verify = false

  @Flag(help: "Print one line of JSON.")
  var json = false

  func validate() throws {
    guard !verify || !objects else {
      throw ValidationError("expected --verify or --objects, not both")
    }
  }

  func run() throws {
    try Failure.reporting(asJSON: json) { () throws(Failure) in
      let daemon = connection.daemon
      let opened = try daemon.call { client, timeout throws(WarmstartError) in
        // The objects and the bytes are in data files, the tensors' names are not.
        objects || verify
          ? try client.open(checkpoint, timeout: timeout)
          : try client.openToList(checkpoint, timeout: timeout)
      }
      if objects {
        let objects = try daemon.call { _, timeout throws(WarmstartError) in
          try opened.objects(timeout: timeout)
        }
        let list = ObjectList(opened, objects)
        return try Output.write(json ? list.json.line : list.text)
      }
      let tensors = try daemon.call { _, timeout throws(WarmstartError) in
        try opened.list(timeout: timeout)
      }
      try Output.write(json ? report(opened, tensors).line : table(tensors))
      guard verify else { return }
      _ = try Reading(verifying: opened, daemon, isQuiet: json)
    }
  }

  private func report(_ opened: Checkpoint, _ tensors: [Checkpoint.StoredTensor]) -> JSON {
    let entries = tensors.map { tensor in
      JSON.object([
        ("name", .name(tensor.name)), ("dtype", .text(tensor.dtype.name)),
        ("shape", .numbers(tensor.shape.lengths)), ("byte_count", .number(tensor.byteCount)),
      ])
    }
    return .object([
      ("checkpoint", .text(opened.path)), ("format", .text(opened.format.rawValue)),
      ("sha256", opened.sha256.map { .text($0) } ?? .literal("null")),
      ("tensors", .list(entries)),
    ])
  }

  private func table(_ tensors: [Checkpoint.StoredTensor]) -> String {
    var table = Columns([.left, .left, .left, .right, .left])
    for tensor in tensors {
      table.add([
        tensor.name.description, tensor.dtype.name, tensor.shape.description,
        String(tensor.byteCount), tensor.slices.map(\.description).joined(separator: " "),
      ])
    }
    return table.text
  }
}
