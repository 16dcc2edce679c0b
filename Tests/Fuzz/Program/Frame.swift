import SystemPackage
import WarmstartKernel
import WarmstartMessages
import WarmstartWire

private let file: File? = try? File(opening: "/dev/null")

/// Receives any bytes as frames, in pieces on which descriptors ride as the first two bytes say.
func fuzzFrame(_ bytes: [UInt8]) {
  guard let file, let (near, far) = try? Socket.pair() else { fatalError("descriptors leak") }
  let stream = bytes.dropFirst(2)
  var riding = bytes.first ?? 0
  let pieceByteCount = max(stream.count / 8 + 1, Int(bytes.dropFirst().first ?? 0))
  var rest = Array(stream)
  // A frame has the descriptors that rode on its bytes: where those are in the stream.
  var ridden: [Int] = []
  while !rest.isEmpty {
    let piece = Array(rest.prefix(pieceByteCount))
    let files = riding & 1 == 1 ? [file, file] : []
    guard let sent = try? far.send(piece.rawSpan, descriptors: files, waiting: false),
      sent == piece.count
    else { fatalError("the socket has no room for the bytes") }
    ridden += files.map { _ in stream.count - rest.count }
    rest.removeFirst(sent)
    riding >>= 1
  }
  far.shutDown(writingToo: true)
  let connection = Connection(near) { burden throws(WireError) in
    guard case .files(let count) = burden, count > 2 else { return }
    throw .overQuota("\(count) files")
  }
  var received: [UInt8] = []
  do throws(WireError) {
    while try connection.receive(limit: 1 << 20) {
      let message = connection.message
      let (start, count) = (received.count, UInt32(message.count))
      received += [0] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - $0 * 8)) } + message
      check(stream.starts(with: received), "the frames that were sent")
      let riders = ridden.count { start <= $0 && $0 < received.count }
      check(connection.files.count == riders, "\(riders) descriptors")
      // A call that is none, or counts otherwise, ends a session; here the next frame is of
      // interest.
      guard let call = try? Call(parsing: message) else { continue }
      check(call.request.clamped(to: 0..<message.count) == call.request, "a request in its frame")
      let isExpected = (try? connection.expectDescriptors(call.descriptorCount)) != nil
      check(isExpected == (call.descriptorCount == riders), "\(riders) descriptors to be announced")
    }
    check(received.count == stream.count, "no end but behind a frame")
  } catch {
    check(error != .timedOut, "no wait for what cannot come")
  }
}
