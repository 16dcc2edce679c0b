import WarmstartClient
import WarmstartTensorModel

/// The output of `list --objects`: the objects that a TF2 checkpoint was saved from.
struct ObjectList {
  private let checkpoint: Checkpoint
  private let objects: [Checkpoint.StoredObject]

  init(_ checkpoint: Checkpoint, _ objects: [Checkpoint.StoredObject]) {
    self.checkpoint = checkpoint
    self.objects = objects
  }

  /// A line for each object with its path; below it its attributes, other names of its parts, and
  /// its slot variables.
  var text: String {
    var text = ""
    for (number, object) in objects.enumerated() {
      text += label(number).printable + "\n"
      var lines = Columns([.left, .left, .left, .left])
      for attribute in object.attributes {
        lines.add([
          "  \(attribute.name)", attribute.fullName.description,
          attribute.dtype.map { "\($0.name) \(attribute.shape ?? [])" } ?? "(not in the index)",
          attribute.key.description,
        ])
      }
      for child in object.children where !child.isOnPath {
        lines.add(["  \(child.name)", "= \(label(child.object))", "", ""])
      }
      for slot in object.slotVariables {
        lines.add([
          "  \(slot.name)", "of \(label(slot.variable))", "= \(label(slot.object))", "",
        ])
      }
      text += lines.text
    }
    return text
  }

  /// Returns an object's path, or its number if no path from the root leads to it.
  private func label(_ object: Int) -> String {
    guard let path = objects[object].path else { return "(object \(object))" }
    return object == 0 ? "(root)" : path.description
  }

  var json: JSON {
    .object([
      ("checkpoint", .text(checkpoint.path)), ("format", .text(checkpoint.format.rawValue)),
      ("objects", .list(objects.map(describe))),
    ])
  }

  private func describe(_ object: Checkpoint.StoredObject) -> JSON {
    .object([
      ("path", object.path.map(JSON.name) ?? .null),
      (
        "children",
        .list(
          object.children.map {
            .object([("name", .name($0.name)), ("object", .number($0.object))])
          })
      ),
      (
        "attributes",
        .list(
          object.attributes.map { attribute in
            .object([
              ("name", .name(attribute.name)), ("full_name", .name(attribute.fullName)),
              ("key", .name(attribute.key)),
              ("dtype", attribute.dtype.map { .text($0.name) } ?? .null),
              ("shape", attribute.shape.map { .numbers($0.lengths) } ?? .null),
            ])
          })
      ),
      (
        "slot_variables",
        .list(
          object.slotVariables.map { slot in
            .object([
              ("name", .name(slot.name)), ("variable", .number(slot.variable)),
              ("object", .number(slot.object)),
            ])
          })
      ),
    ])
  }
}
