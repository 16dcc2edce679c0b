import WarmstartProtobuf
import WarmstartTensorModel

/// A protobuf descriptor set as text, in the manner of a `.proto` file.
///
/// See protobuf's `descriptor.proto`, whose field numbers this reads.
struct ProtocolText {
  private(set) var text = ""

  /// Makes the text of a `google.protobuf.FileDescriptorSet`.
  init(_ descriptorSet: [UInt8]) throws(MessageError) {
    for file in try Node(descriptorSet).nodes(1) {
      let package = file.text(2)
      text += (text.isEmpty ? "" : "\n") + "// \(file.text(1))\npackage \(package);\n"
      for service in try file.nodes(6) { try add(service: service, of: package) }
      for message in try file.nodes(4) { try add(message: message, named: "", of: package) }
      for enumeration in try file.nodes(5) { try add(enumeration: enumeration, named: "") }
    }
  }

  private mutating func add(service: Node, of package: String) throws(MessageError) {
    text += "\nservice \(service.text(1)) {\n"
    for method in try service.nodes(2) {
      let request = ProtocolText.name(method.text(2), in: package)
      let reply = ProtocolText.name(method.text(3), in: package)
      let stream = method.number(6) == 1 ? "stream " : ""
      text += "  rpc \(method.text(1))(\(request)) returns (\(stream)\(reply));\n"
    }
    text += "}\n"
  }

  private mutating func add(
    message: Node, named outer: String, of package: String
  ) throws(MessageError) {
    let name = outer + message.text(1)
    let fields = try message.nodes(2)
    text += "\nmessage \(name) {\(fields.isEmpty ? "" : "\n")"
    for field in fields {
      let label = field.number(4) == ProtocolText.repeated ? "repeated " : ""
      let type =
        field.text(6).isEmpty
        ? ProtocolText.type(field.number(5)) : ProtocolText.name(field.text(6), in: package)
      text += "  \(label)\(type) \(field.text(1)) = \(field.number(3));\n"
    }
    text += "}\n"
    for nested in try message.nodes(3) {
      try add(message: nested, named: name + ".", of: package)
    }
    for enumeration in try message.nodes(4) {
      try add(enumeration: enumeration, named: name + ".")
    }
  }

  private mutating func add(enumeration: Node, named outer: String) throws(MessageError) {
    text += "\nenum \(outer)\(enumeration.text(1)) {\n"
    for value in try enumeration.nodes(2) {
      text += "  \(value.text(1)) = \(value.number(2));\n"
    }
    text += "}\n"
  }

  /// The label of a repeated field.
  private static let repeated: UInt64 = 3

  /// The name of a type of numbers, text or bytes.
  private static func type(_ number: UInt64) -> String {
    let names = [
      "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string",
      "group", "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64",
    ]
    return number >= 1 && number <= UInt64(names.count) ? names[Int(number) - 1] : "unknown"
  }

  /// The name of a message or an enum, without the package if it is the file's own.
  private static func name(_ full: String, in package: String) -> String {
    let own = ".\(package)."
    return full.hasPrefix(own) ? String(full.dropFirst(own.count)) : String(full.drop { $0 == "." })
  }
}

/// The fields of one message of the descriptor set.
private struct Node {
  private var contents: [(number: UInt64, bytes: [UInt8])] = []
  private var numbers: [(number: UInt64, value: UInt64)] = []

  init(_ bytes: [UInt8]) throws(MessageError) {
    var reader = FieldReader(bytes.span)
    while let (number, value) = try reader.next() {
      switch value {
      case .bytes(let range): contents.append((number, Array(bytes[range])))
      case .varint(let value): numbers.append((number, value))
      case .fixed32, .fixed64: break
      }
    }
  }

  /// A field's messages.
  func nodes(_ number: UInt64) throws(MessageError) -> [Node] {
    var nodes: [Node] = []
    for content in contents where content.number == number { nodes.append(try Node(content.bytes)) }
    return nodes
  }

  /// A field's text, escaped for a terminal; empty if there is none.
  func text(_ number: UInt64) -> String {
    let bytes = contents.last { $0.number == number }?.bytes ?? []
    return String(decoding: bytes, as: UTF8.self).printable
  }

  /// A field's number; 0 if there is none.
  func number(_ number: UInt64) -> UInt64 {
    numbers.last { $0.number == number }?.value ?? 0
  }
}
