import Foundation
import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// A file of another format than TensorFlow's, opened as the daemon opens it.
struct FoundFile {
  private let opened: Opened

  /// Writes a file and opens it.
  init(_ bytes: [UInt8], as name: String = "model") throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/\(name)"
    try Data(bytes).write(to: URL(filePath: path))
    opened = try Opened(
      tables: BundleWriter.Bundle(prefix: path, index: path, shards: [path], entries: [:]),
      in: directory)
  }

  /// The names of the tensors, in their order.
  var names: [String] {
    let catalog = opened.checkpoint.catalog
    return (0..<catalog.count).map { "\(catalog.name($0))" }
  }

  /// The dtype and the shape of a tensor.
  func type(_ name: String) throws -> (dtype: String, shape: [Int]) {
    let tensor = try opened.tensor(name)
    let catalog = opened.checkpoint.catalog
    return (catalog.dtype(tensor).name, Array(catalog.shape(tensor).lengths))
  }

  /// The bytes of a tensor, or of a slice of it, in C order and in this machine's byte order.
  func bytes(
    _ name: String, _ slice: TensorSlice? = nil, _ options: PlacementOptions = PlacementOptions()
  ) throws -> [UInt8] { try opened.bytes(name, slice, options) }
}

extension FoundFile {
  /// Checks that a tensor is listed with a dtype and a shape, and refused with a part of the
  /// message.
  func expectListed(_ name: String, _ dtype: String, _ shape: [Int], _ part: String) throws {
    let found = try type(name)
    #expect(found.dtype == dtype && found.shape == shape)
    let problem = try #require(throws: Problem.self) { try bytes(name) }
    #expect(
      problem.reason == .unsupported && problem.message.contains(part)
        && problem.tensor == Name(name), "\(problem.message)")
  }
}

/// Checks the errors for files of one kind.
struct RefusedFile {
  private let name: String

  /// Prepares to write files of a name.
  init(as name: String) {
    self.name = name
  }

  /// Checks that a file is refused for a reason, in a message with a part, and which tensor it
  /// names.
  func check(_ bytes: [UInt8], _ reason: Reason, _ part: String, tensor: Name? = nil) throws {
    let problem = try #require(throws: Problem.self) { try FoundFile(bytes, as: name) }
    #expect(problem.reason == reason && problem.message.contains(part), "\(problem.message)")
    #expect(problem.tensor == tensor)
  }
}

/// A file that another library wrote, and what that library reads: `expected.txt` in its folder.
struct GoldenFile: CustomTestStringConvertible {
  private let folder: String
  private let name: String
  private let lines: [[String]]

  var testDescription: String { name }

  /// The bytes of a file.
  static func bytes(_ folder: String, _ name: String) throws -> [UInt8] {
    let path = Golden.repository.appending(path: "Tests/Data/\(folder)/\(name)")
    return Array(try Data(contentsOf: path))
  }

  /// All files in a folder.
  static func all(in folder: String) throws -> [GoldenFile] {
    let text = String(decoding: try bytes(folder, "expected.txt"), as: UTF8.self)
    var lines: [String: [[String]]] = [:]
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      lines[fields[0], default: []].append(Array(fields.dropFirst()))
    }
    return lines.sorted { $0.key < $1.key }
      .map { GoldenFile(folder: folder, name: $0.key, lines: $0.value) }
  }

  /// What precedes a part of the message in place of bytes, for a tensor that is only listed.
  private static let refusal = "refused: "

  /// Checks that the file has the tensors that are expected, or that it is refused as expected.
  func check() throws {
    let bytes = try GoldenFile.bytes(folder, name)
    if lines[0][0] == "refused" {
      let problem = try #require(throws: Problem.self) { try FoundFile(bytes, as: name) }
      #expect(
        problem.reason == .unsupported && problem.message.contains(lines[0][1]),
        "\(problem.message)")
      return
    }
    let file = try FoundFile(bytes, as: name)
    #expect(file.names.sorted() == lines.map { $0[0] }.sorted())
    for line in lines {
      if line[3].hasPrefix(Self.refusal) {
        let shape = line[2].split(separator: ",").compactMap { Int($0) }
        try file.expectListed(
          line[0], line[1], shape, String(line[3].dropFirst(Self.refusal.count)))
        continue
      }
      let found = try file.type(line[0])
      #expect(found.dtype == line[1])
      #expect(found.shape.map(String.init).joined(separator: ",") == line[2])
      #expect(try file.bytes(line[0]).hexadecimal == line[3], "\(line[0])")
    }
  }
}

extension [UInt8] {
  fileprivate var hexadecimal: String {
    map { String(UInt16($0) + 256, radix: 16).dropFirst() }.joined()
  }
}
