import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// The file beside a model in several files that says which of them holds which tensor, such as
/// `model.safetensors.index.json` of the library transformers, or `model.weights.json` of Keras,
/// where a group of variables may be in several files.
///
/// The client reads only which files there are. The daemon reads the rest.
struct WeightMapFile {
  /// The endings of the file's name.
  static let suffixes = [".index.json", ".weights.json"]
  /// The longest file that is read, in bytes: some 2 million tensors; chosen, not tuned.
  private static let maximumByteCount = 256 << 20

  /// The names of the files, in ascending order of their bytes, each once.
  let fileNames: [String]

  /// Reads which files a map names.
  ///
  /// - Throws: That the file is not a map, that it names a file of another directory, or that it
  ///   names too many.
  init(_ file: OpenFile, at path: PathText) throws(LocateError) {
    var bytes: [UInt8]?
    do throws(Errno) {
      bytes = try file.file.readAll(limit: Self.maximumByteCount)
    } catch {
      throw LocateError(error, path: path.text)
    }
    guard let bytes else {
      throw .weightMapMalformed(
        path: path.text, offset: 0, "has more than \(Self.maximumByteCount) bytes")
    }
    var names: Set<[UInt8]> = []
    do throws(JSONError) {
      try Self.read(bytes, &names)
    } catch {
      throw .weightMapMalformed(path: path.text, offset: error.offset, error.words)
    }
    guard names.count < maximumCheckpointFiles else {
      throw .tooManyFiles(path: path.text, limit: maximumCheckpointFiles)
    }
    for name in names where !Self.isPlain(name) {
      throw .weightMapMalformed(
        path: path.text, offset: 0,
        "names the file \(Name(name[...]).inMessage), expected names in its own directory")
    }
    guard !names.isEmpty else {
      throw .weightMapMalformed(path: path.text, offset: 0, "has no weight_map that names a file")
    }
    fileNames = names.sorted { $0.lexicographicallyPrecedes($1) }
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private static func read(_ bytes: [UInt8], _ names: inout Set<[UInt8]>) throws(JSONError) {
    var json = try JSONScanner(bytes)
    try json.expect("{")
    var isFirst = true
    while let key = try json.nextKey(&isFirst) {
      guard try json.equals(key, "weight_map") else {
        try json.skipValue()
        continue
      }
      try json.expect("{")
      var isFirst = true
      var last: [UInt8] = []
      while try json.nextKey(&isFirst) != nil {
        guard json.peek() == UInt8(ascii: "[") else {
          try add(try json.string(), of: json, &last, &names)
          continue
        }
        try json.expect("[")
        var isFirst = true
        while try json.takeNext(&isFirst, before: "]") {
          try add(try json.string(), of: json, &last, &names)
        }
      }
    }
    try json.finish()
  }

  /// Adds a file's name; most tensors follow others of the same file.
  private static func add(
    _ text: JSONScanner.Text, of json: JSONScanner, _ last: inout [UInt8],
    _ names: inout Set<[UInt8]>
  ) throws(JSONError) {
    let name = try json.content(text)
    if name != last { names.insert(name) }
    last = name
  }

  /// Whether a name is one of a file in the map's own directory.
  private static func isPlain(_ name: [UInt8]) -> Bool {
    !name.isEmpty && !name.contains(UInt8(ascii: "/")) && !name.contains(0)
      && name != Array(".".utf8) && name != Array("..".utf8)
  }
}
