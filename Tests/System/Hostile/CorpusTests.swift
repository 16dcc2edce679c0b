import Foundation
import SystemPackage
import Testing
import WarmstartClient
import WarmstartHarness
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

/// The daemon's expected answer to a checkpoint of the corpus, from
/// `Tests/Data/Corpus/make_corpus.py`.
struct HostileCheckpoint: Sendable, CustomTestStringConvertible {
  fileprivate struct Expected: Decodable {
    let reason: String
    let message: String?
    let tensor: String?
    let sparesOthers: Bool?
    let count: Int?
    let contents: String?

    static let all: [(name: String, expected: Expected)] = {
      let path = Golden.path("../Corpus/checkpoints/expected.json")
      guard let data = FileManager.default.contents(atPath: path),
        let expected = try? JSONDecoder().decode([String: Expected].self, from: data)
      else { return [] }
      return expected.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }()
  }

  let name: String
  let reason: String
  /// Words that the message must contain.
  let message: String
  /// The tensor that is read; nil if the checkpoint must not open.
  let tensor: String?
  /// Whether the tensor `sound` must still be readable.
  let sparesOthers: Bool

  var testDescription: String { name }

  /// The path by which users name it.
  var prefix: String { HostileCheckpoint.path(name) }

  static func path(_ name: String) -> String {
    Golden.path("../Corpus/checkpoints/\(name)/model")
  }

  static let all: [HostileCheckpoint] = Expected.all.compactMap { name, expected in
    expected.message.map { message in
      HostileCheckpoint(
        name: name, reason: expected.reason, message: message, tensor: expected.tensor,
        sparesOthers: expected.sparesOthers ?? false)
    }
  }

  /// Whether the message must name a file.
  var namesFile: Bool {
    !["SLICES_INCOMPLETE", "SLICES_OVERLAP"].contains(reason)
      && !message.contains("does not lie in")
  }
}

/// An odd checkpoint of the corpus that must be read.
struct OddCheckpoint: Sendable, CustomTestStringConvertible {
  let name: String
  /// The number of tensors.
  let count: Int
  /// The tensor that is read, if any, and its bytes.
  let tensor: Name?
  let contents: [UInt8]

  var testDescription: String { name }

  static let all: [OddCheckpoint] = HostileCheckpoint.Expected.all.compactMap { name, expected in
    expected.count.map { count in
      OddCheckpoint(
        name: name, count: count, tensor: expected.tensor.map { Name(bytes($0)[...]) },
        contents: bytes(expected.contents ?? ""))
    }
  }

  private static func bytes(_ digits: String) -> [UInt8] {
    let digits = Array(digits)
    return stride(from: 0, to: digits.count, by: 2).map { place in
      UInt8(String(digits[place..<place + 2]), radix: 16) ?? 0
    }
  }
}

/// A map that must fail, as `make_corpus.py` writes it.
struct HostileMap: Sendable, CustomTestStringConvertible {
  private struct Expected: Decodable {
    let reason: String
    let message: [String]
  }

  let name: String
  let reason: String
  /// Words that the message must contain.
  let message: [String]
  /// The map and the variables, as files of `warmstartctl` have them.
  let map: Data
  let variables: Data

  var testDescription: String { name }

  static let all: [HostileMap] = {
    let path = Golden.path("../Corpus/maps")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.sorted().compactMap { try? HostileMap("\(path)/\($0)", $0) }
  }()

  private init(_ path: String, _ name: String) throws {
    let contents = try Data(contentsOf: URL(filePath: path))
    let expected = try JSONDecoder().decode(Expected.self, from: contents)
    let fields = try #require(
      try JSONSerialization.jsonObject(with: contents) as? [String: Any])
    self.name = name
    (reason, message) = (expected.reason, expected.message)
    map = try JSONSerialization.data(withJSONObject: try #require(fields["map"]))
    variables = try JSONSerialization.data(
      withJSONObject: ["variables": try #require(fields["variables"])])
  }
}

/// A real daemon refuses each known abuse with its own reason, and no other client notices.
@Suite struct CorpusTests {
  private let daemon: RunningDaemon
  private let client: Client

  init() throws {
    daemon = try RunningDaemon(isHeard: false)
    client = Client(socket: daemon.socketPath)
  }

  private func read(_ name: String, of checkpoint: Checkpoint) throws -> Tensor {
    try read(Name(name), of: checkpoint)
  }

  private func read(_ name: Name, of checkpoint: Checkpoint) throws -> Tensor {
    let tensor = try #require(try checkpoint.list().first { $0.name == name })
    let variable = Variable("v", dtype: tensor.dtype, shape: tensor.shape, isInStore: false)
    let resolved = try checkpoint.resolve(
      assigning: AssignmentMap([.init(tensor.name, .variable("v"))]), to: [variable])
    return try #require(resolved.tensors.first)
  }

  private func expectSound(_ checkpoint: Checkpoint) throws {
    #expect(try elements("sound", of: checkpoint) == [0, 1, 2])
  }

  private func elements(_ name: String, of checkpoint: Checkpoint) throws -> [Float] {
    let tensor = try read(name, of: checkpoint)
    let span = try tensor.elements(as: Float.self)
    return span.indices.map { span[$0] }
  }

  @Test(arguments: ["sound", "v1-sound"])
  func `the corpus is complete, and its sound originals are sound`(_ name: String) throws {
    #expect(HostileCheckpoint.all.count > 150)
    #expect(OddCheckpoint.all.count > 15)
    #expect(HostileMap.all.count > 25)
    #expect(Transcript.names(in: "Corpus/frames").count > 45)
    let checkpoint = try client.open(HostileCheckpoint.path(name))
    try expectSound(checkpoint)
    #expect(try elements("f", of: checkpoint) == [0, 1, 2, 3, 4, 5])
    #expect(try elements("p", of: checkpoint) == (0..<20).map(Float.init))
    #expect(try read("s", of: checkpoint).byteCount == 4 * 8 + 8)
  }

  @Test(arguments: HostileCheckpoint.all)
  func `a hostile checkpoint is refused for its reason`(_ hostile: HostileCheckpoint) throws {
    let error = #expect(throws: WarmstartError.self) {
      let checkpoint = try client.open(hostile.prefix)
      guard let tensor = hostile.tensor else { return }
      if hostile.sparesOthers { try expectSound(checkpoint) }
      _ = try read(tensor, of: checkpoint)
    }
    #expect(error?.reason.rawValue == hostile.reason, "\(String(describing: error))")
    #expect(
      error?.message.contains(hostile.message) == true, "\(String(describing: error?.message))")
    if let tensor = hostile.tensor {
      #expect(error?.problems.first?.tensor == Name(tensor))
      #expect(error?.message.contains("tensor \(tensor)") == true)
    }
    if hostile.namesFile { #expect(error?.message.contains(/\ model(\.index|\.data-|\b)/) == true) }
    #expect(error?.checkpoint == hostile.prefix)
    try expectNextIsServed()
  }

  @Test(arguments: OddCheckpoint.all)
  func `a checkpoint that only looks odd is read`(_ odd: OddCheckpoint) throws {
    let checkpoint = try client.open(HostileCheckpoint.path(odd.name))
    #expect(try checkpoint.list().count == odd.count)
    guard let tensor = odd.tensor else { return }
    let read = try read(tensor, of: checkpoint)
    let isSame = read.bytes.equals(odd.contents.rawSpan)
    #expect(isSame)
    // Two numbers in the other byte order are strings' lengths that do not match.
    guard odd.name != "odd-big-endian-numbers", !ProcessMemory.isSanitized else { return }
    let verified = try command(["list", "--verify", HostileCheckpoint.path(odd.name)])
    #expect(verified.status == 0, "\(verified.said)")
  }

  /// The standard error of `warmstartctl`, and its exit status.
  private func command(_ arguments: [String]) throws -> (status: Int32, said: String) {
    let process = Process()
    process.executableURL = RunningDaemon.products.appending(path: "warmstartctl")
    process.arguments = ["--socket", daemon.socketPath] + arguments
    let said = Pipe()
    process.standardError = said
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    let bytes = try said.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
  }

  private func resolve(
    _ checkpoint: String, _ map: Data, _ variables: Data
  ) throws -> (status: Int32, said: String) {
    let directory = try TemporaryDirectory()
    let files = ["\(directory.path)/map", "\(directory.path)/variables"]
    try map.write(to: URL(filePath: files[0]))
    try variables.write(to: URL(filePath: files[1]))
    return try command(["resolve", checkpoint, "--map", files[0], "--variables", files[1]])
  }

  @Test(
    .disabled(if: ProcessMemory.isSanitized, "the daemon's part is tested above"),
    arguments: HostileCheckpoint.all)
  func `the command reports the reason, names the checkpoint, and exits with 1`(
    _ hostile: HostileCheckpoint
  ) throws {
    let listed = try command(["list", hostile.prefix])
    let line = "(\(hostile.reason)): \(hostile.prefix): "
    if hostile.tensor == nil {
      #expect(listed.status == 1)
      #expect(listed.said.contains(line) && listed.said.contains(hostile.message), "\(listed.said)")
    } else {
      // `list` lists it as TensorFlow does; only `--verify` reads the bytes.
      #expect(listed.status == 0, "\(listed.said)")
    }
    let verified = try command(["list", "--verify", hostile.prefix])
    // A tensor that is not shared does not count as damaged.
    let isUnsupported = hostile.tensor != nil && hostile.reason == "UNSUPPORTED"
    if hostile.reason == "SLICES_INCOMPLETE" {
      // The stored slices may still be sound.
      #expect(!verified.said.contains("SLICES_INCOMPLETE"), "\(verified.said)")
    } else {
      #expect(verified.status == (isUnsupported ? 0 : 1))
      #expect(
        verified.said.contains(isUnsupported ? "warmstartctl: not read: " : line)
          && verified.said.contains(hostile.message), "\(verified.said)")
    }
    let tensor = hostile.tensor ?? "f"
    let known = try? client.open(hostile.prefix).list().first { $0.name == Name(tensor) }
    let dtype = known?.dtype.name ?? "float32"
    let lengths = known?.shape.lengths.map(String.init).joined(separator: ",") ?? "2,3"
    let variables =
      #"{"variables": [{"name": "v", "dtype": "\#(dtype)", "shape": [\#(lengths)], "store": false}]}"#
    let resolved = try resolve(
      hostile.prefix, Data(#"[["\#(tensor)", {"variable": "v"}]]"#.utf8), Data(variables.utf8))
    #expect(resolved.status == 1)
    #expect(
      resolved.said.contains(line) && resolved.said.contains(hostile.message), "\(resolved.said)")
    try expectNextIsServed()
  }

  @Test(arguments: HostileMap.all)
  func `a map that cannot be resolved is refused for its reason`(_ hostile: HostileMap) throws {
    let resolved = try resolve(HostileCheckpoint.path("sound"), hostile.map, hostile.variables)
    #expect(resolved.status == 1)
    #expect(resolved.said.contains("(\(hostile.reason)): "), "\(resolved.said)")
    for part in hostile.message { #expect(resolved.said.contains(part), "\(resolved.said)") }
    try expectNextIsServed()
  }

  @Test(arguments: Transcript.names(in: "Corpus/frames"))
  func `hostile frames are refused for their reason`(_ name: String) throws {
    let transcript = try Transcript(name, in: "Corpus/frames")
    let peer = Peer(try Socket(connectingTo: FilePath(daemon.socketPath)))
    try transcript.sendAll(on: peer)
    peer.finishWriting()
    var last: Peer.Answer?
    while let answer = try peer.next() { last = answer }
    let words = transcript.title.split(separator: " ", maxSplits: 2)
    #expect(last.map { "\($0.id)" } == words.first.map(String.init))
    #expect(last?.reason == words.dropFirst().first.map(String.init))
    let message = last?.status?.message ?? ""
    if words.count > 2 { #expect(message.contains(words[2]), "\(message)") }
    try expectNextIsServed()
  }

  private func expectNextIsServed() throws {
    let checkpoint = try Client(socket: daemon.socketPath).open(HostileCheckpoint.path("sound"))
    try expectSound(checkpoint)
    #expect(daemon.isRunning)
  }
}
