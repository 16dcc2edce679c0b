internal import SystemPackage
internal import WarmstartKernel

/// What a hostile client does to a daemon, and the answers that it gets.
///
/// An abuse is committed in *rounds*. A round ends when every connection is closed, by the daemon
/// or by the client.
public enum Abuse: String, CaseIterable, Sendable {
  /// Requests of 16 MiB that would unpack to 960 MiB.
  case explodingFrames
  /// Frames that announce 2 MiB and end there.
  case announcedFrames
  /// Frames sent at one byte a second.
  case byteASecond
  /// Descriptors on the first byte of a frame that does not go on.
  case descriptorsWithoutFrame
  /// Clients that close after every byte of a conversation.
  case closingAnywhere
  /// Clients that close after every byte of a conversation, and have read all answers so far.
  case readingAndClosingAnywhere

  /// How many connections a round has at the same time.
  private var connectionCount: Int {
    switch self {
    case .explodingFrames: 2
    case .byteASecond: 200
    case .announcedFrames, .descriptorsWithoutFrame: 20
    case .closingAnywhere, .readingAndClosingAnywhere: 1
    }
  }

  /// Commits a round, and returns the last answer on each connection that did not close by itself.
  public func commit(on path: String) throws -> [[UInt8]] {
    switch self {
    case .closingAnywhere, .readingAndClosingAnywhere:
      try close(everywhereOn: path)
      return []
    case .explodingFrames:
      let frame = Abuse.explodingFrame
      let connections = try connect(to: path)
      for connection in connections { try connection.send(frame[...]) }
      return try connections.map { try $0.answer() ?? [] }
    case .announcedFrames:
      let connections = try connect(to: path)
      for connection in connections { try connection.send([0, 0, 0x20, 0, 0]) }
      return try connections.map { try $0.lastAnswer() }
    case .descriptorsWithoutFrame:
      let files = try (0..<60).map { _ in try File(opening: "/dev/null") }
      let connections = try connect(to: path)
      for connection in connections { try connection.send([0], files) }
      return try connections.map { try $0.lastAnswer() }
    case .byteASecond:
      let connections = try connect(to: path)
      for byte in Abuse.frame(1, "Hello")[...].dropLast() {
        // The daemon closes connections in the meantime, and sending to those fails.
        let open = connections.filter { !$0.hasHungUp }
        if open.isEmpty { break }
        for connection in open { try? connection.send([byte]) }
        pause(milliseconds: 1000)
      }
      return try connections.map { try $0.lastAnswer() }
    }
  }

  private func connect(to path: String) throws -> [Connection] {
    try (0..<connectionCount).map { _ in try Connection(to: path) }
  }

  private func pause(milliseconds: Int) {
    var poll = Poll()
    _ = try? poll.wait(until: .after(milliseconds: milliseconds))
  }

  // MARK: Frames

  private static func frame(_ id: Int, _ method: String, _ request: [UInt8] = []) -> [UInt8] {
    let count = method == "Open" ? 2 : 0
    let call =
      Proto.number(1, id) + Proto.message(2, Array("/warmstart.v1.Warmstart/\(method)".utf8))
      + Proto.number(4, count) + Proto.message(3, request)
    return [0] + Proto.fixed(call.count, width: 4).reversed() + call
  }

  /// Nearly eight million empty variables of two bytes each.
  private static let explodingFrame = frame(
    1, "Resolve",
    {
      var variables: [UInt8] = [0x1a, 0]
      while variables.count < 8 << 20 { variables += variables }
      return variables + variables.dropLast(200)
    }())

  /// The frames of a conversation that resolves one tensor, and how many answers each gets.
  private static let conversation: [[UInt8]] = {
    let files =
      Proto.message(2, Proto.number(1, 1))
      + Proto.message(2, Proto.number(1, 2) + Proto.number(3, 1) + Proto.number(4, 1))
    let handle = Proto.message(1, Proto.number(1, 1))
    let pair = Proto.message(2, Proto.message(1, [0x78]) + Proto.message(3, [0x77]))
    let variable = Proto.message(
      3, Proto.message(1, [0x77]) + Proto.number(2, 1) + Proto.message(3, [5, 4]))
    return [
      frame(1, "Hello"), frame(2, "Open", Proto.message(1, files)), frame(3, "List", handle),
      frame(4, "Resolve", handle + pair + variable), frame(5, "Close", Proto.number(1, 1)),
    ]
  }()

  private func close(everywhereOn path: String) throws {
    let files = try ["index", "data-00000-of-00001"].map { suffix in
      try File(opening: FilePath(Golden.path("v2_tiles/t.\(suffix)")))
    }
    for (step, frame) in Abuse.conversation.enumerated() {
      for count in 0...frame.count {
        let connection = try Connection(to: path)
        for (earlier, whole) in Abuse.conversation[..<step].enumerated() {
          try connection.send(whole[...], earlier == 1 ? files : [])
          if self == .readingAndClosingAnywhere { _ = try connection.answer() }
        }
        if count > 0 { try connection.send(frame[..<count], step == 1 ? files : []) }
      }
    }
  }
}

/// The abuser's end of a connection.
private final class Connection {
  /// A fault of the daemon.
  struct Failure: Error {
    let description: String
  }

  private let socket: Socket
  private var files: [File] = []

  init(to path: String) throws {
    socket = try Socket(connectingTo: FilePath(path))
  }

  var hasHungUp: Bool { socket.hasHungUp() }

  func send(_ bytes: ArraySlice<UInt8>, _ files: [File] = []) throws {
    var sent = 0
    while sent < bytes.count {
      let rest = Array(bytes.dropFirst(sent))
      sent += try socket.send(rest.rawSpan, descriptors: sent == 0 ? files : [], waiting: true)
    }
  }

  /// Waits for a frame's message; nil at the end.
  func answer() throws -> [UInt8]? {
    guard let prefix = try receive(5) else { return nil }
    files = []
    return try receive(prefix[1...].reduce(0) { $0 << 8 | Int($1) })
  }

  /// Waits until the daemon has closed, and returns the last message that it sent.
  func lastAnswer() throws -> [UInt8] {
    var last: [UInt8] = []
    while let answer = try answer() { last = answer }
    return last
  }

  private func receive(_ count: Int) throws -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var received = 0
    let deadline = Deadline.after(milliseconds: 60_000)
    while received < count {
      var poll = Poll()
      poll.add(socket.descriptor, for: .readable)
      guard try poll.wait(until: deadline) else {
        throw Failure(description: "the daemon neither answers nor closes")
      }
      let read = try receiveSome(into: &bytes, received..<count)
      guard read > 0 else { return nil }
      received += read
    }
    return bytes
  }

  private func receiveSome(into bytes: inout [UInt8], _ range: Range<Int>) throws -> Int {
    do {
      return try socket.receive(into: &bytes, range: range, descriptors: &files, waiting: true)
    } catch {
      // The daemon closed before it had read everything that was sent.
      guard error == Errno.connectionReset else { throw error }
      return 0
    }
  }
}
