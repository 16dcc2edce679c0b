import Kernel
import Messages
import TensorModel
import Testing

/// Every message, made at random, is the same after packing and unpacking.
@Suite struct RoundTripTests {
  private static let seeds = (0..<40).map { UInt64($0) &* 0x9e37_79b9 &+ 1 }

  /// Packs with `begin` and gives the bytes to `unpack`.
  private func roundTrip<Message>(
    _ message: Message, _ begin: (inout OutgoingFrame, Message, Scratch) -> Void,
    _ unpack: (RawSpan, Scratch) throws(MessageError) -> Message
  ) throws -> Message {
    let scratch = Scratch()
    var frame = OutgoingFrame()
    begin(&frame, message, scratch)
    let bytes = Array(frame.bytes)
    return try unpack(bytes.rawSpan, scratch)
  }

  @Test(arguments: seeds) func `Hello comes back`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let request = HelloRequest(label: any.text(), command: any.text())
    #expect(try roundTrip(request, { $0.begin($1, $2) }, HelloRequest.init) == request)
    let reply = HelloReply(
      daemonVersion: any.text(), features: any.list { $0.text() },
      maximumRequestByteCount: any.count(below: 1 << 32), maximumDescriptors: any.count(),
      maximumFiles: any.count())
    #expect(try roundTrip(reply, { $0.begin($1, $2) }, HelloReply.init) == reply)
  }

  @Test(arguments: seeds) func `Attach, Open and Close come back`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let attached = AttachReply(ids: any.list { $0.number() })
    #expect(try roundTrip(attached, { $0.begin($1, $2) }, AttachReply.init) == attached)
    let request = OpenRequest(any.reference())
    #expect(try roundTrip(request, { $0.begin($1, $2) }, OpenRequest.init) == request)
    let reply = any.openReply()
    #expect(try roundTrip(reply, { $0.begin($1, $2) }, OpenReply.init) == reply)
    let close = CloseRequest(handle: any.number())
    #expect(try roundTrip(close, { $0.begin($1, $2) }, CloseRequest.init) == close)
  }

  @Test(arguments: seeds) func `List comes back`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let reply = ListReply(
      checkpoint: any.maybe { $0.openReply() }, tensors: any.list { $0.listed() })
    let read = try roundTrip(reply, { $0.begin($1, $2) }, ListReply.init)
    #expect(read.checkpoint == reply.checkpoint)
    #expect(read.tensors == reply.tensors)
  }

  @Test(arguments: seeds) func `a request to resolve comes back`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    var options = ResolveRequest.Options()
    options.alignment = any.count(below: 1 << 13)
    options.sealed = any.flag()
    options.skipMissing = any.flag()
    options.strides = any.flag()
    let variables = any.list { $0.variable() }
    let request = ResolveRequest(
      checkpoint: any.reference(), map: AssignmentMap(any.list { $0.pair() }),
      variables: VariableList(variables), options: options)
    let read = try roundTrip(request, { $0.begin($1, $2) }, ResolveRequest.init)
    #expect(read.checkpoint == request.checkpoint)
    #expect(read.map == request.map)
    #expect(read.variables.all == variables)
    #expect(read.options == request.options)
  }

  @Test(arguments: seeds) func `what was resolved comes back`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    var reply = ResolveReply()
    reply.checkpoint = any.maybe { $0.openReply() }
    reply.regions = any.list { any in
      ResolveReply.Region(
        id: any.number(), place: any.flag() ? .file(any.count()) : .arena(descriptor: any.count()),
        byteCount: any.count(), stability: any.text())
    }
    let handles = any.list { $0.handle() }
    for handle in handles { reply.handles.append(handle) }
    reply.skipped = any.list { .init(variable: $0.count(), tensor: $0.name()) }
    reply.unused = any.list { $0.count() }
    let read = try roundTrip(reply, { $0.begin($1, $2) }, ResolveReply.init)
    #expect(read.checkpoint == reply.checkpoint)
    #expect(read.regions == reply.regions)
    #expect((0..<read.handles.count).map { read.handles[$0] } == handles)
    #expect(read.skipped == reply.skipped)
    #expect(read.unused == reply.unused)
  }

  @Test(arguments: seeds) func `handles of several responses are as those of one`(seed: UInt64) {
    var any = Anything(seed: seed)
    let chunks = any.list { any in any.list { $0.handle() } }
    var all = Handles()
    for chunk in chunks {
      var handles = Handles()
      for handle in chunk { handles.append(handle) }
      all.append(handles)
    }
    #expect((0..<all.count).map { all[$0] } == chunks.flatMap { $0 })
    all.removeAll()
    #expect(all.count == 0)
    for handle in chunks.first ?? [] { all.append(handle) }
    #expect((0..<all.count).map { all[$0] } == chunks.first ?? [])
  }

  @Test func `a response that is cleared for the next one keeps nothing`() throws {
    var any = Anything(seed: 1)
    var reply = ResolveReply()
    reply.checkpoint = any.openReply()
    reply.regions = [.init(id: 1, place: .file(0), byteCount: 1, stability: "sealed")]
    reply.handles.append(any.handle())
    reply.skipped = [.init(variable: 1, tensor: any.name())]
    reply.unused = [1]
    reply.clear()
    let read = try roundTrip(reply, { $0.begin($1, $2) }, ResolveReply.init)
    #expect(read.checkpoint == nil && read.regions.isEmpty && read.handles.count == 0)
    #expect(read.skipped.isEmpty && read.unused.isEmpty)
  }

  @Test(arguments: seeds) func `a status comes back`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let problems = (0...any.count(below: 5)).map { _ in any.problem() }
    let status = CallStatus(problems, total: any.count(below: 9))
    #expect(try roundTrip(status, { $0.begin($1, $2) }, CallStatus.init) == status)
  }

  @Test(arguments: seeds) func `a report comes back`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let report = any.report()
    #expect(try roundTrip(report, { $0.begin($1, $2) }, StatusReport.init) == report)
  }

  @Test(arguments: seeds) func `envelopes come back around any body`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let scratch = Scratch()
    var frame = OutgoingFrame()
    let body = HelloRequest(label: any.text(), command: any.text())
    var call = Call(id: any.number() | 1, .hello)
    call.method = any.text()
    call.descriptorCount = any.count()
    call.timeoutMilliseconds = any.maybe { $0.count() + 1 }
    call.requiredFeatures = any.list { $0.text() }
    frame.begin(body, scratch)
    frame.finish(call)
    let message = frame.bytes.dropFirst(OutgoingFrame.prefixByteCount)
    var read = try Call(parsing: message)
    #expect(try HelloRequest(unpacking: frame.bytes[read.request].rawSpan, scratch) == body)
    read.request = 0..<0
    #expect(read == call)
  }
}
