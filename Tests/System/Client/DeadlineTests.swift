import SystemPackage
import Testing
import WarmstartClient
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartTensorModel
import WarmstartTestSupport
import WarmstartWire

/// A client's timeout covers everything that it may wait for.
@Suite(.serialized) struct DeadlineTests {
  private static let variables = (0..<20_000).map {
    Variable(Name("a/variable/\($0)"), dtype: .float32, shape: [4])
  }

  /// Asserts that the body ends at its deadline, and not much later.
  private func expectDeadline(_ body: () throws -> Void) {
    let error = #expect(throws: WarmstartError.self) { try body() }
    #expect(error?.reason == .deadline)
    #expect(error?.code == .deadlineExceeded)
  }

  @Test func `a call waits for a daemon that does not start until its deadline`() throws {
    let impostor = try Impostor { socket in
      var poll = Poll()
      poll.add(socket.descriptor, for: .hangUp)
      _ = try poll.wait(until: .after(milliseconds: 20_000))
    }
    let client = WarmstartClient.Client(socket: impostor.socketPath)
    expectDeadline { _ = try client.status(timeout: .milliseconds(100)) }
    #expect(impostor.failures() == [])
  }

  @Test func `a person is told once that the daemon does not answer`() throws {
    let impostor = try Impostor { socket in
      var poll = Poll()
      poll.add(socket.descriptor, for: .hangUp)
      _ = try poll.wait(until: .after(milliseconds: 20_000))
    }
    let count = Monitor(0)
    let client = WarmstartClient.Client(socket: impostor.socketPath, label: "") {
      count.withLock { $0 += 1 }
    }
    expectDeadline { _ = try client.status(timeout: .milliseconds(1500)) }
    #expect(count.withLock { $0 } == 1)
    #expect(impostor.failures() == [])
  }

  @Test func `nothing is printed about a daemon that answers at once`() throws {
    let impostor = try Impostor(ServedDaemon())
    let client = WarmstartClient.Client(socket: impostor.socketPath, label: "") {
      Issue.record("nobody waits")
    }
    #expect(try client.isServing())
    #expect(try client.status(timeout: .seconds(20)).clientCount == 1)
  }

  @Test func `connecting to a full queue ends at the deadline`() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/s"
    let listener = try Socket(listeningAt: FilePath(path), mode: 0o600, backlog: 1)
    // Linux takes one more than the backlog.
    let waiting = try (0..<2).map { _ in try Socket(connectingTo: FilePath(path)) }
    let client = WarmstartClient.Client(socket: path)
    expectDeadline { _ = try client.status(timeout: .milliseconds(100)) }
    _ = (listener, waiting)
  }

  @Test
  func
    `waiting for another thread's call ends at the deadline, and that call still gets its answer`()
    throws
  {
    let mayAnswer = Monitor(false)
    let daemon = try ServedDaemon()
    let calling = Monitor(false)
    let impostor = try Impostor { socket in
      calling.notifying { $0 = true }
      _ = mayAnswer.wait { $0 ? true : nil }
      guard let client = daemon.daemon.admit(socket, by: .clients) else { return }
      daemon.daemon.serve(client, Connection.Memory())
    }
    let client = WarmstartClient.Client(socket: impostor.socketPath)
    let answered = Monitor<Int?>(nil)
    try Thread.detach {
      let count = (try? client.status())?.clientCount ?? -1
      answered.notifying { $0 = count }
    }
    _ = calling.wait { $0 ? true : nil }
    expectDeadline { _ = try client.status(timeout: .milliseconds(200)) }
    mayAnswer.notifying { $0 = true }
    #expect(answered.wait { $0 } == 1)
  }

  @Test func `the client gives up at the deadline on a daemon that never ends its replies`() throws
  {
    let impostor = try Impostor { socket in
      let peer = Peer(socket)
      var files: [File] = []
      for _ in 0..<2 { _ = try peer.frame(&files) }
      try peer.send(RawMessage().adding(1, 1).frame())
      // A reply to the call, with more to come.
      let reply = RawMessage().adding(1, 2).adding(5, 1).frame()
      while (try? peer.send(reply)) != nil {}
    }
    let client = WarmstartClient.Client(socket: impostor.socketPath)
    expectDeadline { _ = try client.status(timeout: .milliseconds(200)) }
    #expect(impostor.failures() == [])
  }

  @Test func `the client gives up at the deadline on a daemon that does not read a long request`()
    throws
  {
    let impostor = try Impostor { socket in
      var poll = Poll()
      poll.add(socket.descriptor, for: .hangUp)
      _ = try poll.wait(until: .after(milliseconds: 20_000))
    }
    let client = WarmstartClient.Client(socket: impostor.socketPath)
    let golden = Golden.path("v2_plain_resource/model.ckpt-1000")
    expectDeadline {
      _ = try client.resolve(
        golden, assigning: ["/": "/"], to: Self.variables, timeout: .milliseconds(300))
    }
    #expect(impostor.failures() == [])
  }

  @Test
  func `a checkpoint that ends during another thread's call does not wait, and is given back`()
    throws
  {
    let daemon = try ServedDaemon()
    let slow = try SlowCheckpoint()
    let impostor = try Impostor(daemon)
    let client = WarmstartClient.Client(socket: impostor.socketPath)
    var golden: Checkpoint? = try client.open(Golden.path("v2_tiles/t"))
    let ended = Monitor(false)
    try Thread.detach {
      _ = try? client.resolve(
        slow.prefix, assigning: ["slow": .variable("v")],
        to: [Variable("v", dtype: .uint8, shape: [1 << 40], isInStore: false)],
        timeout: .milliseconds(500))
      ended.notifying { $0 = true }
    }
    pause(milliseconds: 100)
    #expect(golden != nil)
    golden = nil
    #expect(!ended.withLock { $0 })
    _ = ended.wait { $0 ? true : nil }
  }
}
