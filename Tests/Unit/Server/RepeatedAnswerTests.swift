import Foundation
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// Jobs that ask the same question as an earlier job.
@Suite(.serialized, .descriptorsBalanced) struct RepeatedAnswerTests {
  private let daemon: ServedDaemon
  private let passed: PassedFiles
  /// Keeps the checkpoint resident.
  private let holder: Peer
  /// Keeps the files of a test as long as the test: a file without a name is another checkpoint.
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    daemon = try ServedDaemon()
    passed = try PassedFiles.golden()
    holder = try daemon.connect()
    _ = try holder.handle(passed)
  }

  /// Resolves on a separate connection; returns the reply and its files.
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
  private let vector = [Variable("v", dtype: .float32, shape: [8])]

  @Test func `the next job with the same question gets the same answer with its own regions`()
    throws
  {
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

  @Test func `an arena is sent again with its descriptor`() throws {
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

  @Test func `a question with any difference is answered anew`() throws {
    _ = try resolve(gamma, vector)
    var options = ResolveRequest.Options()
    options.alignment = 64
    _ = try resolve(gamma, vector, options)
    _ = try resolve(gamma, [Variable("v", dtype: .float32, shape: [Shape.unknownLength])])
    _ = try resolve(gamma, vector + [Variable("w", dtype: .float32, shape: [8])])
    _ = try resolve(["bert/embeddings/LayerNorm/beta": "v"], vector)
    #expect(try repeatedCount() == 0)
  }

  @Test func `a refusal is not remembered`() throws {
    for _ in 0..<2 {
      let peer = try daemon.connect()
      try peer.resolve(
        passed.reference, gamma, [Variable("v", dtype: .float32, shape: [9])], files: passed.files)
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
      try peer.resolve(.handle(handle), ["a": "v"], [Variable("v", dtype: .float32, shape: [2])])
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
        ["bert/embeddings/LayerNorm/gamma": .name(name)],
        [Variable(name, dtype: .float32, shape: [8])])
    }
    for number in 0..<17 { try ask(number) }
    try ask(16)
    #expect(try repeatedCount() == 1)
    try ask(0)
    #expect(try repeatedCount() == 1)
  }

  @Test func `long questions that differ only at the end are told apart`() throws {
    var variables = vector
    let long = String(repeating: "x", count: 40)
    for number in 0..<20_000 {
      variables.append(Variable(Name("\(number)/\(long)"), dtype: .float32, shape: []))
    }
    for _ in 0..<2 { _ = try resolve(gamma, variables) }
    #expect(try repeatedCount() == 1)
    variables[20_000].name = Name("19999/\(long.dropLast())y")
    _ = try resolve(gamma, variables)
    #expect(try repeatedCount() == 1)
  }

  /// Resolves a checkpoint on a separate connection; returns the contents of each reply.
  private func responses(
    _ passed: PassedFiles, _ map: AssignmentMap, _ variables: [Variable],
    _ options: ResolveRequest.Options = .init()
  ) throws -> [(bytes: [UInt8], fileCount: Int)] {
    let peer = try daemon.connect()
    try peer.resolve(passed.reference, map, variables, files: passed.files, options)
    var responses: [(bytes: [UInt8], fileCount: Int)] = []
    var more = true
    while more {
      let answer = try peer.answer()
      responses.append((Array(answer.response), answer.files.count))
      more = answer.reply.more
    }
    return responses
  }

  @Test func `an answer of several replies is repeated in as many`() throws {
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    let count = 20_000
    for number in 0..<count { writer.add(.init("t\(number)"), dtype: 1, [1], [1, 2, 3, 4]) }
    let many = try PassedFiles(try writer.write(to: directory.path).prefix)
    _ = try holder.handle(many)
    let variables = (0..<count).map { Variable(Name("x/t\($0)"), dtype: .float32, shape: [1]) }
    let first = try responses(many, ["/": "x/"], variables)
    let second = try responses(many, ["/": "x/"], variables)
    #expect(try repeatedCount() == 1)
    #expect(first.count > 1)
    #expect(second.map(\.bytes) == first.map(\.bytes))
  }

  @Test func `an answer with more arenas than one frame carries is repeated in as many frames`()
    throws
  {
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    for number in 0..<70 {
      writer.add(
        .init("t\(number)"), dtype: 4, [70_000], [UInt8](repeating: UInt8(number), count: 70_000))
    }
    let many = try PassedFiles(try writer.write(to: directory.path).prefix)
    _ = try holder.handle(many)
    var options = ResolveRequest.Options()
    options.sealed = true
    let variables = (0..<70).map { Variable(Name("t\($0)"), dtype: .uint8, shape: [70_000]) }
    // Each is made separately, and is too large to share an arena.
    for variable in variables {
      _ = try responses(
        many, AssignmentMap([.init(variable.name, .name(variable.name))]), [variable], options)
    }
    let first = try responses(many, ["/": "/"], variables, options)
    let second = try responses(many, ["/": "/"], variables, options)
    #expect(try repeatedCount() == 1)
    #expect(first.map(\.fileCount) == [64, 6])
    #expect(second.map(\.fileCount) == [64, 6])
    #expect(second.map(\.bytes) == first.map(\.bytes))
  }

  /// A checkpoint of tensors with names of 60,000 bytes, which are most of an answer.
  private func longNames(_ numbers: Range<Int>) throws -> (files: PassedFiles, [Variable]) {
    var writer = BundleWriter()
    let long = String(repeating: "n", count: 60_000)
    for number in numbers { writer.add(.init("\(number)\(long)"), dtype: 1, [1], [1, 2, 3, 4]) }
    let files = try PassedFiles(try writer.write(to: directory.path).prefix)
    _ = try holder.handle(files)
    return (
      files, numbers.map { Variable(Name("x/\($0)\(long)"), dtype: .float32, shape: [1]) }
    )
  }

  @Test func `an answer of more than twelve megabytes is not remembered`() throws {
    let (files, variables) = try longNames(100..<320)
    for _ in 0..<2 { _ = try responses(files, ["/": "x/"], variables) }
    #expect(try repeatedCount() == 0)
  }

  @Test func `two kinds of jobs do not drive out each other's long answers`() throws {
    let (files, variables) = try longNames(100..<270)
    for _ in 0..<2 {
      for count in [160, 170] {
        _ = try responses(files, ["/": "x/"], Array(variables.prefix(count)))
      }
    }
    #expect(try repeatedCount() == 2)
  }
}
