import Foundation
import Harness
import Kernel
import SystemPackage
import TensorModel
import TestSupport
import Testing
import WarmstartClient

/// What the daemon must answer to a checkpoint of the corpus: `Tests/Corpus/make_corpus.py`.
struct HostileCheckpoint: Sendable, CustomTestStringConvertible {
  private struct Expected: Decodable {
    let reason: String
    let message: String
    let tensor: String?
    let sparesOthers: Bool?
  }

  let name: String
  let reason: String
  /// What the message must say.
  let message: String
  /// What is read; nil if the checkpoint must not even open.
  let tensor: String?
  /// Whether the tensor `sound` must be readable all the same.
  let sparesOthers: Bool

  var testDescription: String { name }

  /// The path that users call it.
  var prefix: String { HostileCheckpoint.path(name) }

  static func path(_ name: String) -> String {
    Golden.path("../Corpus/checkpoints/\(name)/model")
  }

  static let all: [HostileCheckpoint] = {
    let path = Golden.path("../Corpus/checkpoints/expected.json")
    guard let data = FileManager.default.contents(atPath: path),
      let expected = try? JSONDecoder().decode([String: Expected].self, from: data)
    else { return [] }
    return expected.sorted { $0.key < $1.key }.map { name, expected in
      HostileCheckpoint(
        name: name, reason: expected.reason, message: expected.message, tensor: expected.tensor,
        sparesOthers: expected.sparesOthers ?? false)
    }
  }()
}

/// Each known abuse is refused by a real daemon for its own reason, and harms nobody else.
@Suite struct CorpusTests {
  private let daemon: RunningDaemon
  private let client: Client

  init() throws {
    daemon = try RunningDaemon(isHeard: false)
    client = Client(socket: daemon.socketPath)
  }

  private func read(_ name: String, of checkpoint: Checkpoint) throws -> Tensor {
    let tensor = try #require(try checkpoint.list().first { $0.name == Name(name) })
    let variable = Variable("v", tensor.dtype, tensor.shape, isInStore: false)
    let resolved = try checkpoint.resolve(
      AssignmentMap([.init(tensor.name, .variable("v"))]), [variable])
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

  @Test func `the corpus is there, and what it was made from is sound`() throws {
    #expect(HostileCheckpoint.all.count > 150)
    #expect(Transcript.names(in: "Corpus/frames").count > 45)
    let checkpoint = try client.open(HostileCheckpoint.path("sound"))
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
    #expect(error?.reason == hostile.reason, "\(String(describing: error))")
    #expect(
      error?.message.contains(hostile.message) == true, "\(String(describing: error?.message))")
    if let tensor = hostile.tensor { #expect(error?.problems.first?.tensor == Name(tensor)) }
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
