/// Writes the object graph of a TF2 checkpoint from its format alone; nothing need make sense.
public struct ObjectGraphWriter: Sendable {
  /// The key that checkpoints have the graph under.
  public static let key = BundleWriter.Key("_CHECKPOINTABLE_OBJECT_GRAPH")

  /// One object.
  public struct Object: Sendable {
    private var fields: [UInt8] = []

    /// Makes an object of nothing.
    public init() {}

    /// The object with another as its child.
    public consuming func child(_ name: String, _ object: Int) -> Object {
      adding(1, Proto.number(1, object) + Proto.message(2, Array(name.utf8)))
    }

    /// The object with a value.
    public consuming func attribute(_ name: String, _ fullName: String, _ key: String) -> Object {
      adding(
        2,
        Proto.message(1, Array(name.utf8)) + Proto.message(2, Array(fullName.utf8))
          + Proto.message(3, Array(key.utf8)))
    }

    /// The object with a variable's value, as TensorFlow stores it.
    public consuming func variable(_ fullName: String, at path: String) -> Object {
      attribute("VARIABLE_VALUE", fullName, "\(path)/.ATTRIBUTES/VARIABLE_VALUE")
    }

    /// The object with a variable that it keeps for another.
    public consuming func slot(_ name: String, of variable: Int, _ object: Int) -> Object {
      adding(
        3,
        Proto.number(1, variable) + Proto.message(2, Array(name.utf8)) + Proto.number(3, object))
    }

    /// The object with a field of any bytes.
    public consuming func adding(_ field: Int, _ contents: [UInt8]) -> Object {
      fields += Proto.message(field, contents)
      return self
    }

    fileprivate var bytes: [UInt8] { fields }
  }

  /// The objects; the first is the root.
  public var objects: [Object]

  /// Makes a graph of objects.
  public init(_ objects: [Object]) {
    self.objects = objects
  }

  /// The graph as the checkpoint's string has it.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    for object in objects { bytes += Proto.message(1, object.bytes) }
    return bytes
  }
}

extension BundleWriter {
  /// Adds an object graph, or what is in its place.
  public mutating func addGraph(_ bytes: [UInt8]) {
    add(ObjectGraphWriter.key, strings: [bytes], [])
  }
}
