import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// Calls and their answers over a connection's life, and over several connections'.
@Suite(.serialized, .descriptorsBalanced) struct ConversationTests {
  private let daemon: ServedDaemon
  private let peer: Peer

  init() throws {
    daemon = try ServedDaemon()
    peer = try daemon.connect()
  }

  @Test func `Hello returns what the daemon can do`() throws {
    try peer.call(.hello) { $0.begin(HelloRequest(label: "l", command: "c"), $1) }
    let reply = try peer.unpack(try peer.answer(), HelloReply.init(unpacking:_:))
    #expect(reply.daemonVersion == Daemon.version)
    #expect(reply.features.contains("sealed") && reply.features.contains("strides"))
    #expect(reply.maximumRequestByteCount == 16 << 20)
    #expect(reply.maximumDescriptors == 64)
    #expect(reply.maximumFiles == 4096)
  }

  @Test(arguments: Method.allCases)
  func `every method is served, though an empty request may be refused`(_ method: Method) throws {
    // At the administrators' socket, which has all calls.
    let peer = try daemon.connect(.administration)
    try peer.call(method)
    #expect(try peer.answer().status?.code != .unimplemented)
  }

  @Test func `pipelined calls are answered in their order`() throws {
    let passed = try PassedFiles.golden()
    var ids: [UInt64] = []
    for _ in 0..<20 {
      ids.append(try peer.call(.hello))
      ids.append(
        try peer.call(.open, files: passed.files) { $0.begin(OpenRequest(passed.reference), $1) })
      ids.append(try peer.call(.status))
      ids.append(try peer.call(.close) { $0.begin(CloseRequest(handle: 12345), $1) })
    }
    #expect(try ids.map { _ in try peer.answer().id } == ids)
  }

  @Test func `a client's label and command are cut and escaped`() throws {
    let label = "a\u{1b}[31m" + String(repeating: "\u{1}", count: 1000)
    try peer.call(.hello) { $0.begin(HelloRequest(label: label, command: "one\ntwo"), $1) }
    _ = try peer.answer()
    let client = try #require(try peer.status().clients.first)
    #expect(client.label.utf8.count <= 256)
    #expect(!client.label.contains("\u{1b}"))
    #expect(!client.command.contains("\n"))
  }

  @Test func `Status counts calls and leases of each connection`() throws {
    _ = try peer.handle(.golden())
    let other = try daemon.connect()
    let report = try other.status()
    #expect(report.clientCount == 2)
    #expect(report.clients.count == 2)
    #expect(report.clients.map(\.leaseCount).sorted() == [0, 1])
    #expect(report.clients.allSatisfy { $0.callCount == 1 && $0.processID == Process.id })
    #expect(report.checkpoints.map(\.leaseCount) == [1])
    #expect(report.checkpoints.map(\.tensorCount) == [12])
  }

  @Test func `without lingering, a checkpoint goes with its last lease`() throws {
    let handle = try peer.handle(.golden())
    #expect(try peer.status().checkpoints.count == 1)
    _ = try peer.close(handle)
    #expect(try peer.status().checkpoints.count == 0)
  }

  @Test func `List sends all tensors in chunks and describes the checkpoint once`() throws {
    let passed = try PassedFiles.golden("v2_many/many")
    try peer.call(.list, files: passed.files) { $0.begin(OpenRequest(passed.reference), $1) }
    var tensors: [ListReply.Tensor] = []
    var chunkCount = 0
    while true {
      let answer = try peer.answer()
      #expect(answer.message.count <= 1 << 20)
      let reply = try peer.unpack(answer, ListReply.init(unpacking:_:))
      #expect((reply.checkpoint != nil) == (chunkCount == 0))
      tensors += reply.tensors
      chunkCount += 1
      if !answer.reply.more { break }
    }
    #expect(tensors.count == 10_000)
    #expect(tensors.map(\.name) == tensors.map(\.name).sorted())
  }

  @Test func `List divides the slices of one tensor among replies, in their order`() throws {
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    for name in ["a", "m", "z"] { writer.add(.init(name), dtype: 4, [1], [0]) }
    writer.change("m") { entry in
      // Offsets this large take room in the index, too, and it may expand only a little.
      entry.shape = [1 << 31, 1 << 31]
      entry.slices = (0..<60_000).map { [.init((1 << 30) + $0, 1), .init(1 << 30, 1)] }
    }
    let passed = try PassedFiles(try writer.write(to: directory.path).prefix)
    try peer.call(.list, files: passed.files) { $0.begin(OpenRequest(passed.reference), $1) }
    var tensors: [ListReply.Tensor] = []
    var names: [[Name]] = []
    var more = true
    while more {
      let answer = try peer.answer()
      #expect(answer.message.count <= 1 << 20)
      let reply = try peer.unpack(answer, ListReply.init(unpacking:_:))
      names.append(reply.tensors.map(\.name))
      try tensors.join(reply.tensors)
      more = answer.reply.more
    }
    #expect(names == [["a", "m"], ["m"], ["m", "z"]])
    #expect(tensors.map(\.name) == ["a", "m", "z"])
    let slices = (0..<60_000).map {
      TensorSlice(starts: [(1 << 30) + $0, 1 << 30], counts: [1, 1])
    }
    #expect(tensors.dropFirst().first?.slices == slices)
  }

  @Test func `an answer longer than any client takes is an error, and the connection goes on`()
    throws
  {
    let passed = try PassedFiles.golden()
    var options = ResolveRequest.Options()
    options.resolution = [.skipMissing, .lenient]
    // The answer names the tensor that is missing, and a name is not divided.
    let key = Name([UInt8](repeating: 0x78, count: 5 << 20)[...])
    try peer.resolve(
      passed.reference, AssignmentMap([.init(key, .variable("v"))]),
      [Variable("v", dtype: .float32, shape: [1], isInStore: false)], files: passed.files, options)
    let answer = try peer.answer()
    #expect(answer.reason == "UNSUPPORTED")
    #expect(answer.status?.message.contains("expected at most 4194304") == true)
    try peer.call(.hello)
    #expect(try peer.answer().status == nil)
  }

  @Test func `Resolve names file regions by the client's own files`() throws {
    let passed = try PassedFiles.golden()
    var options = ResolveRequest.Options()
    options.resolution = [.skipMissing, .lenient]
    try peer.resolve(
      passed.reference,
      ["bert/embeddings/LayerNorm/gamma": .variable("v"), "bert/": "other/"],
      [Variable("v", dtype: .float32, shape: [8], isInStore: false)], files: passed.files, options)
    let answer = try peer.answer()
    let reply = try peer.unpack(answer, unpackResolveReply)
    #expect(answer.files.isEmpty)
    #expect(reply.regions.map(\.place) == [.file(1)])
    #expect(reply.regions.map(\.isSealed) == [false])
    #expect(reply.handles.count == 1)
    #expect(reply.handles[0].byteCount == 32)
    #expect(reply.handles[0].region == 0)
    #expect(reply.report.unused == [1])
    #expect(reply.report.unusedTensors.count == 11)
  }

  @Test func `more unused pairs than fit a reply come in several replies`() throws {
    let count = 250_000
    let pair = AssignmentMap.Pair("", .variables([]))
    var options = ResolveRequest.Options()
    options.resolution = [.skipMissing, .lenient]
    let passed = try PassedFiles.golden()
    try peer.resolve(
      passed.reference, AssignmentMap(Array(repeating: pair, count: count)), [],
      files: passed.files, options)
    var unused: [Int] = []
    var replyCount = 0
    var isLast = false
    while !isLast {
      let answer = try peer.answer()
      try #require(answer.status == nil)
      unused += try peer.unpack(answer, unpackResolveReply).report.unused
      replyCount += 1
      isLast = !answer.reply.more
    }
    #expect(unused == Array(0..<count))
    #expect(replyCount > 1)
  }

  @Test func `Resolve sends sealed arenas with the frame that names them`() throws {
    let passed = try PassedFiles.golden()
    var options = ResolveRequest.Options()
    options.sealed = true
    for _ in 0..<2 {
      try peer.resolve(
        passed.reference, ["ids": .variable("v")],
        [Variable("v", dtype: .int32, shape: [10], isInStore: false)], files: passed.files, options)
      let answer = try peer.answer()
      let reply = try peer.unpack(answer, unpackResolveReply)
      #expect(reply.regions.map(\.place) == [.arena(descriptor: 0)])
      #expect(reply.regions.map(\.isSealed) == [true])
      #expect(answer.files.count == 1)
      let isSealed = SealedArena.isSealed(answer.files[0].descriptor)
      #expect(isSealed)
      #expect(try answer.files[0].isReadOnly())
    }
  }

  /// Takes the replies to a Resolve; returns each handle's variable with the region that it names.
  private func resolved() throws -> (regions: [Int: UInt64], replyCount: Int) {
    var regions: [ResolveReply.Region] = []
    var named: [Int: UInt64] = [:]
    var replyCount = 0
    while true {
      let answer = try peer.answer()
      #expect(answer.files.count <= 64 && answer.message.count <= 1 << 20)
      let reply = try peer.unpack(answer, unpackResolveReply)
      regions += reply.regions
      for position in 0..<reply.handles.count {
        let handle = reply.handles[position]
        try #require(handle.region < regions.count)
        named[handle.variable] = regions[handle.region].id
      }
      #expect(Set(regions.map(\.id)).count == regions.count)
      replyCount += 1
      if !answer.reply.more { return (named, replyCount) }
    }
  }

  @Test func `handles of later replies name regions of earlier ones`() throws {
    let passed = try PassedFiles.golden("v2_many/many")
    let handle = try peer.handle(passed)
    try peer.call(.list) { $0.begin(OpenRequest(.handle(handle)), $1) }
    var variables: [Variable] = []
    var more = true
    while more {
      let answer = try peer.answer()
      let reply = try peer.unpack(answer, ListReply.init(unpacking:_:))
      #expect(reply.checkpoint == nil)
      variables += reply.tensors.map {
        Variable(Name("x/\($0.name)"), dtype: $0.dtype, shape: $0.shape)
      }
      more = answer.reply.more
    }
    try peer.resolve(.handle(handle), ["/": "x/"], variables)
    let (regions, replyCount) = try resolved()
    #expect(replyCount > 1)
    #expect(regions.count == 10_000)
    #expect(Set(regions.values).count == 1)
  }

  @Test func `more arenas than one frame carries come with several frames`() throws {
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    for number in 0..<70 {
      writer.add(
        .init("t\(number)"), dtype: 4, [70_000], [UInt8](repeating: UInt8(number), count: 70_000))
    }
    let handle = try peer.handle(PassedFiles(try writer.write(to: directory.path).prefix))
    var options = ResolveRequest.Options()
    options.sealed = true
    let variables = (0..<70).map { Variable(Name("t\($0)"), dtype: .uint8, shape: [70_000]) }
    var expected: [Int: UInt64] = [:]
    for (position, variable) in variables.enumerated() {
      // Each is made separately, and is too large to share an arena.
      try peer.resolve(
        .handle(handle), AssignmentMap([.init(variable.name, .name(variable.name))]), [variable],
        options)
      expected[position] = try resolved().regions[0]
    }
    #expect(Set(expected.values).count == 70)
    try peer.resolve(.handle(handle), ["/": "/"], variables, options)
    let (regions, replyCount) = try resolved()
    #expect(replyCount == 2)
    #expect(regions == expected)
  }

  @Test(arguments: [3, 8192, 4097, 0xffff_ffff])
  func `an impossible alignment is invalid`(_ alignment: Int) throws {
    let passed = try PassedFiles.golden()
    var options = ResolveRequest.Options()
    options.alignment = alignment
    try peer.resolve(passed.reference, [:], [], files: passed.files, options)
    #expect(try peer.answer().reason == "INVALID_REQUEST")
  }

  @Test func `a status has all problems, the deciding one first`() throws {
    let passed = try PassedFiles.golden()
    let variables = ["a", "b", "c"].map {
      Variable(Name($0), dtype: .int32, shape: [1], isInStore: false)
    }
    try peer.resolve(
      passed.reference, ["x": .variable("a"), "ids": .variable("b"), "y": .variable("c")],
      variables, files: passed.files)
    let status = try #require(try peer.answer().status)
    #expect(status.problemCount >= 2)
    #expect(status.problems.first?.reason == status.reason)
    #expect(status.problems.first?.message == status.message)
  }

  @Test func `a status about long names is short enough for any client`() throws {
    let passed = try PassedFiles.golden()
    let long = String(repeating: "n", count: 20_000)
    let names = (0..<60).map { Name("\(long)\($0)") }
    try peer.resolve(
      passed.reference, AssignmentMap(names.map { .init($0, .variable($0)) }),
      names.map { Variable($0, dtype: .int32, shape: [1], isInStore: false) }, files: passed.files)
    let answer = try peer.answer()
    #expect(answer.reason == "TENSOR_NOT_FOUND")
    #expect(answer.message.count <= 1 << 20)
    #expect(answer.status?.problemCount == 60)
  }

  @Test func `sizes of slices that overflow together do not end the daemon`() throws {
    let directory = try TemporaryDirectory()
    var writer = BundleWriter()
    let slices: [[BundleWriter.Extent]] = [[.init(0, 1)], [.init(1, 1)]]
    writer.add("x", dtype: 1, [2], Array(repeating: 0, count: 8), slices: slices)
    for slice in slices {
      writer.change(.slice(of: "x", slice)) { $0.byteCount = 1 << 62 }
    }
    let bundle = try writer.write(to: directory.path)
    let passed = try PassedFiles(bundle.prefix)
    try peer.call(.list, files: passed.files) { $0.begin(OpenRequest(passed.reference), $1) }
    _ = try peer.answer()
    try peer.resolve(
      passed.reference, ["x": .variable("v")],
      [Variable("v", dtype: .float32, shape: [2], isInStore: false)], files: passed.files)
    #expect(try peer.answer().status != nil)
  }
}
