import Foundation
import Harness
import Kernel
import Messages
import TensorModel
import TestSupport
import Testing

/// Jobs that ask what another has asked before them.
@Suite(.serialized, .descriptorsBalanced) struct RepeatedAnswerTests {
  private let daemon: ServedDaemon
  private let passed: PassedFiles
  /// Keeps the checkpoint resident.
  private let holder: Peer

  init() throws {
    daemon = try ServedDaemon()
    passed = try PassedFiles.golden()
    holder = try daemon.connect()
    _ = try holder.handle(passed)
  }

  /// Resolves on a connection of its own; returns the reply and the files that came with it.
  private func resolve(
    _ map: AssignmentMap, _ variables: [Variable],
    _ options: ResolveRequest.Options = .init()
  ) throws -> (reply: ResolveReply, files: [File]) {
    let peer = try daemon.connect()
    try peer.resolve(passed.reference, map, variables, files: passed.files, options)
    let answer = try peer.answer()
    return (try peer.unpack(answer, unpackResolveReply), answer.files)
  }

  private func repeatedCount() throws -> Int? {
    try daemon.connect().status().counters.first { $0.name == "repeated_answers" }?.value
  }

  private let gamma: AssignmentMap = ["bert/embeddings/LayerNorm/gamma": "v"]
  private let vector = [Variable("v", .float32, [8])]

  @Test func `the next job that asks the same gets the same, with regions of its own`() throws {
    let first = try resolve(gamma, vector).reply
    let second = try resolve(gamma, vector).reply
    #expect(try repeatedCount() == 1)
    #expect(second.checkpoint?.generation == first.checkpoint?.generation)
    #expect(second.regions == first.regions)
    #expect(second.handles.count == 1)
    #expect(second.handles[0] == first.handles[0])
  }

  @Test func `on one connection, each handle's regions have their own numbers`() throws {
    let peer = try daemon.connect()
    var regions: [UInt64] = []
    for _ in 0..<2 {
      try peer.resolve(passed.reference, gamma, vector, files: passed.files)
      let reply = try peer.unpack(try peer.answer(), unpackResolveReply)
      regions += reply.regions.map(\.id)
    }
    #expect(try repeatedCount() == 1)
    #expect(regions.count == 2 && regions[0] != regions[1])
  }

  @Test func `an arena comes again with its descriptor`() throws {
    var options = ResolveRequest.Options()
    options.sealed = true
    let first = try resolve(gamma, vector, options)
    let second = try resolve(gamma, vector, options)
    #expect(try repeatedCount() == 1)
    #expect(second.reply.regions.map(\.id) == first.reply.regions.map(\.id))
    #expect(second.files.count == 1)
    let isSealed = SealedArena.isSealed(second.files[0].descriptor)
    #expect(isSealed)
  }

  @Test func `a question that differs in anything is answered anew`() throws {
    _ = try resolve(gamma, vector)
    var options = ResolveRequest.Options()
    options.alignment = 64
    _ = try resolve(gamma, vector, options)
    _ = try resolve(gamma, [Variable("v", .float32, [Shape.unknownLength])])
    _ = try resolve(gamma, vector + [Variable("w", .float32, [8])])
    _ = try resolve(["bert/embeddings/LayerNorm/beta": "v"], vector)
    #expect(try repeatedCount() == 0)
  }

  @Test func `a refusal is found again each time`() throws {
    for _ in 0..<2 {
      let peer = try daemon.connect()
      try peer.resolve(
        passed.reference, gamma, [Variable("v", .float32, [9])], files: passed.files)
      #expect(try peer.answer().reason == "SHAPE_MISMATCH")
    }
    #expect(try repeatedCount() == 0)
  }

  @Test func `a checkpoint that was changed is not answered from memory`() throws {
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    writer.add("a", dtype: 1, [2], [0, 0, 0, 0, 0, 0, 0, 0])
    let bundle = try writer.write(to: directory.path)
    let passed = try PassedFiles(bundle.prefix)
    let peer = try daemon.connect()
    let handle = try peer.handle(passed)
    for expected in [nil, "CHECKPOINT_CHANGED"] {
      try peer.resolve(.handle(handle), ["a": "v"], [Variable("v", .float32, [2])])
      #expect(try peer.answer().reason == expected)
      let data = try FileHandle(forWritingTo: URL(filePath: bundle.shards[0]))
      try data.seekToEnd()
      try data.write(contentsOf: [1])
      try data.close()
    }
  }

  @Test func `the oldest of many answers is forgotten`() throws {
    func ask(_ number: Int) throws {
      let name = Name("v\(number)")
      _ = try resolve(
        ["bert/embeddings/LayerNorm/gamma": .name(name)], [Variable(name, .float32, [8])])
    }
    for number in 0..<17 { try ask(number) }
    try ask(16)
    #expect(try repeatedCount() == 1)
    try ask(0)
    #expect(try repeatedCount() == 1)
  }

  @Test func `a question of a megabyte is not remembered`() throws {
    let long = (0..<20_000).map {
      Variable(Name("\($0)/\(String(repeating: "x", count: 40))"), .float32, [])
    }
    for _ in 0..<2 { _ = try resolve(gamma, vector + long) }
    #expect(try repeatedCount() == 0)
  }
}
