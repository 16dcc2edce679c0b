/// Writes the pickle of a PyTorch file by its instructions, and the archive around it.
struct PickleWriter {
  private(set) var bytes: [UInt8] = [0x80, 2]

  /// Adds instructions that have no operand, as their characters.
  func code(_ text: String) -> PickleWriter {
    adding(text.unicodeScalars.map { UInt8($0.value) })
  }

  /// Adds any bytes.
  func adding(_ more: [UInt8]) -> PickleWriter {
    var longer = self
    longer.bytes += more
    return longer
  }

  /// Pushes a string.
  func text(_ text: String) -> PickleWriter {
    adding([UInt8(ascii: "X")] + number(text.utf8.count, 4) + Array(text.utf8))
  }

  /// Pushes an integer of eight bytes.
  func integer(_ integer: Int) -> PickleWriter {
    adding([0x8a, 8] + number(integer, 8))
  }

  /// Pushes a tuple of integers.
  func tuple(_ integers: [Int]) -> PickleWriter {
    integers.reduce(code("(")) { $0.integer($1) }.code("t")
  }

  /// Pushes a class or function.
  func global(_ module: String, _ name: String) -> PickleWriter {
    adding(Array("c\(module)\n\(name)\n".utf8))
  }

  /// Puts the value on top into a place of the memo.
  func put(_ place: UInt8) -> PickleWriter {
    adding([UInt8(ascii: "q"), place])
  }

  /// Pushes the value in a place of the memo.
  func get(_ place: UInt8) -> PickleWriter {
    adding([UInt8(ascii: "h"), place])
  }

  /// Pushes a storage of a class.
  func storage(_ type: String = "FloatStorage", key: String = "0", count: Int) -> PickleWriter {
    code("(").text("storage").global("torch", type).text(key).text("cpu").integer(count).code("tQ")
  }

  /// Pushes a tensor that is a view of a storage.
  func tensor(
    _ shape: [Int], _ strides: [Int], offset: Int = 0, count: Int, type: String = "FloatStorage",
    key: String = "0"
  ) -> PickleWriter {
    global("torch._utils", "_rebuild_tensor_v2").code("(")
      .storage(type, key: key, count: count).integer(offset).tuple(shape).tuple(strides)
      .adding([0x89]).global("collections", "OrderedDict").code(")RtR")
  }

  /// The archive of the pickle, which ends here, and of storages by their keys.
  func archive(_ storages: [String: [UInt8]] = ["0": PickleWriter.numbers(4)]) -> [UInt8] {
    var entries = [ZipWriter.Entry("model/data.pkl", bytes + [UInt8(ascii: ".")])]
    for (key, bytes) in storages.sorted(by: { $0.key < $1.key }) {
      entries.append(ZipWriter.Entry("model/data/\(key)", bytes))
    }
    return ZipWriter(entries).bytes()
  }

  /// The little-endian bytes of the numbers from 0 on as `Float`.
  static func numbers(_ count: Int) -> [UInt8] {
    (0..<count).flatMap { number(Int(Float($0).bitPattern), 4) }
  }
}
