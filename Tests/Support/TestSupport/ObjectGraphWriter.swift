/// Writes the object graph of a TF2 checkpoint.
///
/// Tests can make every part wrong.
public struct ObjectGraphWriter: Sendable {
  /// The graph's key in a checkpoint.
  public static let key = BundleWriter.Key("_CHECKPOINTABLE_OBJECT_GRAPH")

  /// One object.
  public struct Object: Sendable {
    private var fields: [UInt8] = []

    /// Makes an empty object.
    public init() {}

    /// The object with a child added.
    public consuming func child(_ name: String, _ object: Int) -> Object {
      addChild(name, object)
      return self
    }

    /// Adds a child.
    ///
    /// Each value that `child` returns may be a copy, which takes too long for many children.
    public mutating func addChild(_ name: String, _ object: Int) {
      add(1, Proto.number(1, object) + Proto.message(2, Array(name.utf8)))
    }

    /// The object with a value added.
    public consuming func attribute(_ name: String, _ fullName: String, _ key: String) -> Object {
      adding(
        2,
        Proto.message(1, Array(name.utf8)) + Proto.message(2, Array(fullName.utf8))
          + Proto.message(3, Array(key.utf8)))
    }

    /// The object with a variable's value added, as TensorFlow stores it.
    public consuming func variable(_ fullName: String, at path: String) -> Object {
      attribute("VARIABLE_VALUE", fullName, "\(path)/.ATTRIBUTES/VARIABLE_VALUE")
    }

    /// The object with a slot variable added, which it keeps for another variable.
    public consuming func slot(_ name: String, of variable: Int, _ object: Int) -> Object {
      addSlot(name, of: variable, object)
      return self
    }

    /// Adds a slot variable.
    ///
    /// It is to `slot` what `addChild` is to `child`.
    public mutating func addSlot(_ name: String, of variable: Int, _ object: Int) {
      add(
        3,
        Proto.number(1, variable) + Proto.message(2, Array(name.utf8)) + Proto.number(3, object))
    }

    /// The object with a field of any bytes added.
    public consuming func adding(_ field: Int, _ contents: [UInt8]) -> Object {
      add(field, contents)
      return self
    }

    private mutating func add(_ field: Int, _ contents: [UInt8]) {
      fields += Proto.message(field, contents)
    }

    fileprivate var bytes: [UInt8] { fields }
  }

  /// The objects; the first is the root.
  public var objects: [Object]

  /// Makes a graph of objects.
  public init(_ objects: [Object]) {
    self.objects = objects
  }

  /// The graph's bytes, which the checkpoint stores as a string.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    for object in objects { bytes += Proto.message(1, object.bytes) }
    return bytes
  }
}

extension BundleWriter {
  /// Adds an object graph, or other bytes in its place.
  public mutating func addGraph(_ bytes: [UInt8]) {
    add(ObjectGraphWriter.key, strings: [bytes], [])
  }
}
