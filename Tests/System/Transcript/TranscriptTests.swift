import Testing
import WarmstartClient
import WarmstartHarness
import WarmstartKernel
import WarmstartServer
import WarmstartStore
import WarmstartTensorModel
import WarmstartTestSupport

/// The daemon and the client send exactly the bytes of the transcripts.
@Suite(.serialized, .descriptorsBalanced) struct TranscriptTests {
  /// The client's part in a conversation.
  private typealias Script = @Sendable (WarmstartClient.Client) throws -> Void

  private static let scripts: [String: Script] = [
    "hello": { _ = try $0.status() },
    "list": { client in
      let tensors = try client.open(Golden.path("v2_tiles/t")).list()
      #expect(tensors.map(\.name) == ["x"])
      #expect(tensors.first?.slices.count == 4)
    },
    "list-chunks": { client in
      let tensors = try client.open(Golden.path("v2_many/many")).list()
      // As many as the transcript contains.
      #expect(tensors.count == 4)
    },
    "list-objects": { client in
      let objects = try client.open(Golden.path("tf2_slots/s")).objects()
      #expect(objects.map(\.path?.description).prefix(3) == ["", "again", "optimizer"])
      #expect(objects[2].slotVariables.map(\.object) == [3])
    },
    "resolve-names": { client in
      var options = Resolved.Options()
      options.objectNames = true
      options.namesUnusedTensors = true
      let resolved = try client.resolve(
        Golden.path("tf2_slots/s"), assigning: ["layer/weights": "w"],
        to: [Variable("w", dtype: .float32, shape: [2])], options: options)
      #expect(resolved["w"]?.tensor == "again/.ATTRIBUTES/VARIABLE_VALUE")
    },
    "resolve-file": { client in
      let checkpoint = try client.open(Golden.path("v2_plain_resource/model.ckpt-1000"))
      let map: AssignmentMap = ["bert/embeddings/LayerNorm/gamma": "gamma", "bert/": "other/"]
      var options = Resolved.Options()
      options.lenient = true
      let resolved = try checkpoint.resolve(
        assigning: map, to: [Variable("gamma", dtype: .float32, shape: [8])], options: options)
      #expect(resolved.tensors.map(\.region.kind) == [.file])
      #expect(resolved.unused == [map.pairs[1]])
    },
    "resolve-arena": { client in
      let checkpoint = try client.open(Golden.path("v2_tiles/t"))
      var options = Resolved.Options()
      options.sealed = true
      options.alignment = 64
      let resolved = try checkpoint.resolve(
        assigning: ["x": .variable("w")],
        to: [Variable("w", dtype: .float32, shape: [5, 4], isInStore: false)], options: options)
      #expect(resolved.tensors.map(\.region.kind) == [.arena])
    },
    "resolve-plan": { client in
      let checkpoint = try client.open(Golden.path("v2_tiles/t"))
      var options = Resolved.Options()
      options.planOnly = true
      let resolved = try checkpoint.resolve(
        assigning: ["x": "w"], to: [Variable("w", dtype: .float32, shape: [5, 4])], options: options
      )
      #expect(resolved.tensors.map(\.byteCount) == [80])
    },
    "resolve-path": { client in
      let map: AssignmentMap = ["bert/embeddings/LayerNorm/gamma": "gamma", "bert/": "other/"]
      var options = Resolved.Options()
      options.lenient = true
      let resolved = try client.resolve(
        Golden.path("v2_plain_resource/model.ckpt-1000"), assigning: map,
        to: [Variable("gamma", dtype: .float32, shape: [8])],
        options: options)
      #expect(resolved.checkpoint.tensorCount == 12)
      #expect(resolved["gamma"]?.region.kind == .file)
      #expect(resolved.unused == [map.pairs[1]])
    },
    "close": { client in
      _ = try client.open(Golden.path("v2_tiles/t"))
      #expect(try client.open(Golden.path("v2_tiles/t")).tensorCount == 1)
    },
    "failure": { client in
      let checkpoint = try client.open(Golden.path("v2_tiles/t"))
      let error = #expect(throws: WarmstartError.self) {
        try checkpoint.resolve(
          assigning: ["y": .variable("v"), "x": .variable("w")],
          to: [
            Variable("v", dtype: .float32, shape: [2], isInStore: false),
            Variable("w", dtype: .int32, shape: [5, 4], isInStore: false),
          ])
      }
      #expect(error?.reason == .tensorNotFound)
      #expect(error?.problems.map(\.reason) == [.tensorNotFound, .dtypeMismatch])
    },
    "refused": { client in
      let error = #expect(throws: WarmstartError.self) { try client.status() }
      #expect(error?.reason == .quota)
      #expect(error?.code == .resourceExhausted)
    },
    "health": { client in
      let isServing = try client.isServing()
      #expect(isServing)
    },
    "draining": { client in
      let error = #expect(throws: WarmstartError.self) { try client.status() }
      #expect(error?.reason == .draining)
      #expect(error?.code == .unavailable)
    },
  ]

  @Test func `the transcripts are complete`() {
    #expect(Transcript.names().count >= 23)
    #expect(Set(Self.scripts.keys).isSubset(of: Transcript.names()))
  }

  @Test(arguments: Transcript.names())
  func `the daemon sends the bytes of the transcript`(_ name: String) throws {
    var limits = Limits()
    if name == "refused" { limits.connections = 0 }
    let daemon = try ServedDaemon(limits)
    if name == "draining" { #expect(daemon.daemon.drain()) }
    try Transcript(name).play(.client, on: daemon.connect()) { step in
      // After it has said that it serves.
      guard name == "health-draining", step == 2 else { return }
      let daemon = daemon.daemon
      try Thread.detach { #expect(daemon.drain()) }
    }
    #expect(daemon.settles())
  }

  @Test(arguments: scripts.keys.sorted())
  func `the client sends the bytes of the transcript`(_ name: String) throws {
    // The client calls a stopping daemon once more.
    let connectionCount = name == "draining" ? 2 : 1
    let impostor = try Impostor(playing: Transcript(name), connections: connectionCount)
    let script = try #require(Self.scripts[name])
    let label = "a label of another length"
    #expect(throws: Never.self) {
      try script(WarmstartClient.Client(socket: impostor.socketPath, label: label))
    }
    #expect(impostor.failures(afterConnections: connectionCount) == [])
  }

  @Test func `a failed Close fails no other call`() throws {
    let status = RawMessage().adding(1, 13).adding(2, "it cannot be closed")
    let answers = [
      // Hello, Open, Close, Status.
      RawMessage().adding(1, 1),
      RawMessage().adding(1, 2).adding(4, RawMessage().adding(1, 9).adding(3, "v2").bytes),
      RawMessage().adding(1, 3).adding(3, status.bytes),
      RawMessage().adding(1, 4).adding(4, RawMessage().adding(2, 77).bytes),
    ]
    let impostor = try impostor(sending: answers)
    do {
      let client = WarmstartClient.Client(socket: impostor.socketPath)
      _ = try client.open(Golden.path("v2_tiles/t"))
      #expect(try client.status().processID == 77)
    }
    #expect(impostor.failures() == [])
  }

  /// A daemon that answers the calls of one client, each with the next message.
  private func impostor(sending answers: [RawMessage]) throws -> Impostor {
    try Impostor { socket in
      let peer = Peer(socket)
      for answer in answers {
        var files: [File] = []
        let frame = try peer.frame(&files)
        #expect(frame != nil)
        try peer.send(answer.frame())
      }
    }
  }

  @Test func `a checkpoint of an unknown format is closed again`() throws {
    let answers = [
      // Hello, Open, Close, Status.
      RawMessage().adding(1, 1),
      RawMessage().adding(1, 2).adding(4, RawMessage().adding(1, 9).adding(3, "v9").bytes),
      RawMessage().adding(1, 3),
      RawMessage().adding(1, 4).adding(4, RawMessage().adding(2, 77).bytes),
    ]
    let impostor = try impostor(sending: answers)
    do {
      let client = WarmstartClient.Client(socket: impostor.socketPath)
      let error = #expect(throws: WarmstartError.self) {
        try client.open(Golden.path("v2_tiles/t"))
      }
      #expect(error?.message.contains("v9") == true)
      #expect(try client.status(timeout: .seconds(20)).processID == 77)
    }
    #expect(impostor.failures() == [])
  }

  @Test func `a reply to no call ends the connection`() throws {
    let impostor = try Impostor(connections: 2) { socket in
      let peer = Peer(socket)
      var files: [File] = []
      _ = try peer.frame(&files)
      // An answer to a Close that was never sent.
      for id in [1, 3] as [UInt64] { try peer.send(RawMessage().adding(1, id).frame()) }
      _ = try? peer.frame(&files)
    }
    let error = #expect(throws: WarmstartError.self) {
      try WarmstartClient.Client(socket: impostor.socketPath).status()
    }
    #expect(error?.reason == .connection)
    #expect(impostor.failures(afterConnections: 2) == [])
  }

  @Test func `a request that is refused before it is read gets its reason`() throws {
    var limits = Limits()
    limits.messageByteCount = 1 << 20
    let impostor = try Impostor(ServedDaemon(limits))
    let variables = (0..<20_000).map { number in
      Variable(Name("layer_\(number)/kernel"), dtype: .float32, shape: [1])
    }
    do {
      let client = WarmstartClient.Client(socket: impostor.socketPath)
      let checkpoint = try client.open(Golden.path("v2_tiles/t"))
      let error = #expect(throws: WarmstartError.self) {
        try checkpoint.resolve(assigning: ["x": "v"], to: variables)
      }
      // Not CONNECTION, as the broken pipe alone would give.
      #expect(error?.reason == .quota)
    }
    #expect(impostor.failures() == [])
  }
}
