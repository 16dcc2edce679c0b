import WarmstartCheckpoint
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartWire

/// Unpacks any bytes but the first as the message that the first says; what they come to must
/// survive being packed and unpacked again.
func fuzzCall(_ bytes: [UInt8]) {
  let scratch = Scratch()
  let body = Array(bytes.dropFirst())
  switch bytes.first ?? 0 {
  case 0: call(body)
  case 1: reply(body)
  case 2: again(body, scratch, AttachReply.init) { $0.begin($1, scratch) }
  case 3: again(body, scratch, HelloRequest.init) { $0.begin($1, scratch) }
  case 4: again(body, scratch, HelloReply.init) { $0.begin($1, scratch) }
  case 5: again(body, scratch, OpenRequest.init) { $0.begin($1, scratch) }
  case 6: again(body, scratch, OpenReply.init) { $0.begin($1, scratch) }
  case 7: again(body, scratch, CloseRequest.init) { $0.begin($1, scratch) }
  case 8: again(body, scratch, ListReply.init) { $0.begin($1, scratch) }
  case 9: again(body, scratch, ResolveRequest.init) { $0.begin($1, scratch) }
  case 10: resolved(body, scratch)
  case 11: again(body, scratch, StatusReport.init) { $0.begin($1, scratch) }
  case 12: again(body, scratch, CallStatus.init) { $0.begin($1, scratch) }
  case 13: _ = try? BundleHeader(parsing: body.span)
  case 14:
    var entry = BundleEntry()
    try? entry.parse(body.span)
  case 15: again(body, scratch, ListObjectsReply.init) { $0.begin($1, scratch) }
  case 16: again(body, scratch, PreloadRequest.init) { $0.begin($1) }
  case 17: again(body, scratch, PreloadReply.init) { $0.begin($1, scratch) }
  case 18: again(body, scratch, GenerationRequest.init) { $0.begin($1) }
  case 19: again(body, scratch, PinReply.init) { $0.begin($1, scratch) }
  case 20: again(body, scratch, Evicted.init) { $0.begin($1) }
  default: break
  }
}

/// Looks at all that is in a response of `Resolve`, which only a daemon packs.
private func resolved(_ bytes: [UInt8], _ scratch: Scratch) {
  guard let reply = try? ResolveReply(unpacking: bytes.rawSpan, scratch) else { return }
  for position in 0..<reply.handles.count {
    let handles = reply.handles
    let shape = handles.shape(position)
    check(handles.strides(position).count <= shape.rank, "a stride for each axis, or none")
    check((handles.starts(position) ?? []).count <= shape.rank, "a start for each axis, or none")
    check(handles.place(position).offset >= 0, "an offset in its region")
    _ = handles.tensor(position).bytes.count + handles.variable(position)
  }
  guard let extents = try? reply.handles.extents(variableCount: 100, regionCount: 10) else {
    return
  }
  for region in 0..<extents.count {
    check(extents[region].lowerBound >= 0, "an extent in its region")
  }
}

private func again<Message>(
  _ bytes: [UInt8], _ scratch: Scratch,
  _ unpack: (RawSpan, Scratch) throws(MessageError) -> Message,
  _ begin: (inout FieldWriter, Message) -> Void
) {
  guard let message = try? unpack(bytes.rawSpan, scratch) else { return }
  var first = FieldWriter()
  begin(&first, message)
  do {
    let message = try unpack(first.copy().rawSpan, scratch)
    var second = FieldWriter()
    begin(&second, message)
    check(first.copy() == second.copy(), "the same \(Message.self) again")
  } catch {
    // Bytes that are ignored, and not packed again, allow for memory too.
    guard case .tooLarge = error else { fatalError("\(Message.self) as packed: \(error)") }
  }
}

private func call(_ bytes: [UInt8]) {
  guard var call = try? Call(parsing: bytes[...]) else { return }
  check(call.request.clamped(to: bytes.indices) == call.request, "a request in its frame")
  check(call.path.clamped(to: bytes.indices) == call.path, "a path in its frame")
  var frame = FieldWriter()
  frame.beginEmpty()
  frame.finish(call, path: Array(bytes[call.path]))
  guard var again = try? Call(parsing: message(of: frame)) else { fatalError("no call again") }
  (call.path, call.request, again.path) = (0..<0, 0..<0, 0..<0)
  check(call == again, "the same call again")
}

private func reply(_ bytes: [UInt8]) {
  guard var reply = try? Reply(parsing: bytes[...]) else { return }
  check(reply.response.clamped(to: bytes.indices) == reply.response, "a response in its frame")
  let status = reply.status ?? 0..<0
  check(status.clamped(to: bytes.indices) == status, "a status in its frame")
  var frame = FieldWriter()
  frame.beginEmpty()
  frame.finish(reply)
  (reply.response, reply.status) = (0..<0, nil)
  check(reply == (try? Reply(parsing: message(of: frame))), "the same reply again")
}

private func message(of frame: borrowing FieldWriter) -> ArraySlice<UInt8> {
  Array(frame.copy().dropFirst(Connection.prefixByteCount))[...]
}
