import SystemPackage
import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartServer
import WarmstartStore
import WarmstartTestSupport
import WarmstartWire

/// Monitoring systems ask for the metrics over HTTP, and whatever they send, the daemon goes on.
@Suite(.serialized, .descriptorsBalanced) struct MetricsTests {
  private let daemon: ServedDaemon

  init() throws {
    daemon = try ServedDaemon()
  }

  private struct Answer {
    let head: [String]
    let body: String

    var status: String { head[0] }
    func field(_ name: String) -> String? {
      head.first { $0.hasPrefix("\(name): ") }.map { String($0.dropFirst(name.count + 2)) }
    }
  }

  /// Sends bytes and reads the answer up to the end of the connection.
  private func ask(_ request: String, files: [File] = []) throws -> Answer {
    let peer = try daemon.connect(.metrics)
    try peer.send(Array(request.utf8), files)
    return try answer(peer)
  }

  private func answer(_ peer: Peer) throws -> Answer {
    let text = String(decoding: try peer.receiveToEnd(), as: UTF8.self)
    let end = try #require(text.firstRange(of: "\r\n\r\n"))
    return Answer(
      head: text[..<end.lowerBound].split(separator: "\r\n").map { String($0) },
      body: String(text[end.upperBound...]))
  }

  private static let get = "GET /metrics HTTP/1.1\r\nHost: warmstart\r\n"

  @Test func `GET answers with the metrics, and closes the connection`() throws {
    let answer = try ask(Self.get + "Accept: */*\r\n\r\n")
    #expect(answer.status == "HTTP/1.1 200 OK")
    #expect(
      answer.field("Content-Type") == "application/openmetrics-text; version=1.0.0; charset=utf-8")
    #expect(answer.field("Content-Length") == "\(answer.body.utf8.count)")
    #expect(answer.field("Connection") == "close")
    #expect(answer.body.contains("\nwarmstart_build_info{version=\"\(Daemon.version)\"} 1\n"))
    #expect(answer.body.hasSuffix("\n# EOF\n"))
    #expect(daemon.settles())
  }

  @Test func `the metrics have the checkpoints of all users, and no connection for metrics`() throws
  {
    let client = try daemon.connect(as: 4321)
    let files = try PassedFiles(
      Golden.path("v2_plain_resource/model.ckpt-1000"), shardCount: 1, label: "/models/a\"b\n")
    _ = try client.handle(files)
    let body = try ask(Self.get + "\r\n").body
    #expect(body.contains(##"path="/models/a\"b\\n"} 1"##))
    #expect(body.contains("\nwarmstart_clients 1\n"))
    #expect(body.contains("\nwarmstart_leases 1\n"))
  }

  @Test(arguments: [
    (
      "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
      true
    ),
    ("text/plain", false), ("text/*", false), ("Application/OpenMetrics-Text", true),
    ("application/openmetrics-text;q=0, text/plain", false),
  ])
  func `the client chooses the form`(_ accepted: String, _ isOpenMetrics: Bool) throws {
    let answer = try ask(Self.get + "accept:\(accepted)\r\n\r\n")
    #expect(answer.status == "HTTP/1.1 200 OK")
    let type = answer.field("Content-Type")
    #expect(type?.hasPrefix("application/openmetrics-text;") == isOpenMetrics)
    #expect(answer.body.contains("# EOF") == isOpenMetrics)
    // The older text's type is that of the sample's name.
    #expect(answer.body.contains("# TYPE warmstart_opens_total counter") == !isOpenMetrics)
  }

  @Test func `HEAD answers with the head alone`() throws {
    let answer = try ask("HEAD /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(answer.status == "HTTP/1.1 200 OK")
    #expect(Int(answer.field("Content-Length") ?? "") ?? 0 > 1000)
    #expect(answer.body.isEmpty)
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
    ("GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
    ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed"),
    ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
    ("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: image/png\r\n\r\n", "406 Not Acceptable"),
    ("GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n", "505 HTTP Version Not Supported"),
    ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
    ("GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400 Bad Request"),
    ("GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request"),
    ("GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request"),
    ("GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", "400 Bad Request"),
    ("GET /metrics HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", "400 Bad Request"),
    ("GET /metrics HTTP/1.1\r\nHost: x\nA: y\r\n\r\n", "400 Bad Request"),
    ("GET /metrics HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", "400 Bad Request"),
    ("\u{1}\0\0\0\r\n\r\n", "400 Bad Request"), ("\r\n\r\n", "400 Bad Request"),
  ])
  func `other requests are refused`(_ request: String, _ status: String) throws {
    let answer = try ask(request)
    #expect(answer.status == "HTTP/1.1 \(status)")
    #expect(answer.field("Allow") == (status.hasPrefix("405") ? "GET, HEAD" : nil))
    #expect(daemon.settles())
    #expect(daemon.warnings.isEmpty)
  }

  @Test(arguments: [
    "GET http://host/metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics HTTP/1.0\r\n\r\n",
  ])
  func `proxies and old clients are answered`(_ request: String) throws {
    #expect(try ask(request).status == "HTTP/1.1 200 OK")
  }

  @Test func `a head that is too long is refused`() throws {
    let fits = HTTPRequest.maximumByteCount - Self.get.utf8.count - "A: \r\n\r\n".utf8.count
    for (count, status) in [(fits, "200 OK"), (fits + 1, "431 Request Header Fields Too Large")] {
      let field = "A: " + String(repeating: "x", count: count)
      #expect(try ask(Self.get + field + "\r\n\r\n").status == "HTTP/1.1 \(status)")
    }
  }

  @Test func `a client that sends byte after byte is answered`() throws {
    let peer = try daemon.connect(.metrics)
    for byte in (Self.get + "\r\n").utf8 { try peer.send([byte]) }
    #expect(try answer(peer).status == "HTTP/1.1 200 OK")
  }

  @Test func `a client that sends nothing is refused, and one that hangs up is forgotten`() throws {
    let silent = try daemon.connect(.metrics)
    let gone = try daemon.connect(.metrics)
    try gone.send(Array("GET /metr".utf8))
    gone.finishWriting()
    #expect(daemon.settles(atMost: 1))
    #expect(try answer(silent).status == "HTTP/1.1 408 Request Timeout")
  }

  @Test func `a client that takes the socket for the clients' is answered in its own protocol`()
    throws
  {
    let peer = try daemon.connect(.metrics)
    try peer.call(.status)
    let answer = try peer.answer(within: 2000)
    #expect(answer.id == 0 && answer.reason == "UNSUPPORTED")
    #expect(answer.status?.message.contains("metrics socket, which speaks HTTP") == true)
    peer.finishWriting()
    #expect(daemon.settles())
  }

  @Test func `files that come with a request are closed`() throws {
    let answer = try ask(Self.get + "\r\n", files: [try File(opening: "/dev/null")])
    #expect(answer.status == "HTTP/1.1 200 OK")
  }

  @Test func `more connections than the limit are refused in HTTP`() throws {
    let count = Limits().metricsConnections
    let waiting = try (0..<count).map { _ in try daemon.connect(.metrics) }
    #expect(try answer(try daemon.connect(.metrics)).status == "HTTP/1.1 503 Service Unavailable")
    for peer in waiting { peer.finishWriting() }
    #expect(daemon.settles())
    #expect(try ask(Self.get + "\r\n").status == "HTTP/1.1 200 OK")
  }
}
