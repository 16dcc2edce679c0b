import Testing
import WarmstartHarness
import WarmstartKernel
import WarmstartMessages
import WarmstartProtobuf
import WarmstartTensorModel
import WarmstartWire

/// Every message, made at random, is the same after packing and unpacking.
@Suite struct RoundTripTests {
  private static let seeds = (0..<40).map { UInt64($0) &* 0x9e37_79b9 &+ 1 }

  /// Packs with `begin` and gives the bytes to `unpack`.
  private func roundTrip<Message>(
    _ message: Message, _ begin: (inout FieldWriter, Message, Scratch) -> Void,
    _ unpack: (RawSpan, Scratch) throws(MessageError) -> Message
  ) throws -> Message {
    let scratch = Scratch()
    var frame = FieldWriter()
    begin(&frame, message, scratch)
    let bytes = frame.copy()
    return try unpack(bytes.rawSpan, scratch)
  }

  @Test(arguments: seeds) func `Hello survives a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let request = HelloRequest(label: any.text(), command: any.text())
    #expect(try roundTrip(request, { $0.begin($1, $2) }, HelloRequest.init) == request)
    let reply = HelloReply(
      daemonVersion: any.text(), features: any.list { $0.text() },
      maximumRequestByteCount: any.count(below: 1 << 32), maximumDescriptors: any.count(),
      maximumFiles: any.count(), maximumReplyByteCount: any.count())
    #expect(try roundTrip(reply, { $0.begin($1, $2) }, HelloReply.init) == reply)
  }

  @Test(arguments: seeds) func `Attach, Open and Close survive a round trip`(seed: UInt64) throws {
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

  @Test(arguments: seeds) func `List survives a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let reply = ListReply(
      checkpoint: any.maybe { $0.openReply() }, tensors: any.list { $0.listed() })
    let read = try roundTrip(reply, { $0.begin($1, $2) }, ListReply.init)
    #expect(read.checkpoint == reply.checkpoint)
    #expect(read.tensors == reply.tensors)
  }

  @Test(arguments: seeds) func `objects survive a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    var reply = ListObjectsReply()
    reply.checkpoint = any.maybe { $0.openReply() }
    reply.graph = any.graph()
    reply.dtypes = reply.graph.attributes.objects.map { _ in any.maybe { $0.dtype() } }
    for dtype in reply.dtypes { reply.shapes.append(dtype == nil ? [] : any.extents()) }
    let read = try roundTrip(reply, { $0.begin($1, $2) }, ListObjectsReply.init)
    #expect(read.checkpoint == reply.checkpoint)
    #expect(read.graph == reply.graph)
    #expect(read.dtypes == reply.dtypes)
    #expect(read.shapes == reply.shapes)
  }

  @Test(arguments: seeds) func `a Resolve request survives a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    var options = ResolveRequest.Options()
    options.alignment = any.count(below: 1 << 13)
    options.sealed = any.flag()
    options.resolution = Resolution.Options(rawValue: UInt8(any.count() & 15))
    options.strides = any.flag()
    options.objectNames = any.flag()
    options.planOnly = any.flag()
    options.progress = any.flag()
    let variables = any.list { $0.variable() }
    var list = VariableList(variables)
    for position in variables.indices where any.flag() { list.gather(position, any.gather()) }
    let request = ResolveRequest(
      checkpoint: any.reference(), map: AssignmentMap(any.list { $0.pair() }), variables: list,
      options: options)
    let read = try roundTrip(request, { $0.begin($1, $2) }, ResolveRequest.init)
    #expect(read.checkpoint == request.checkpoint)
    #expect(read.map == request.map)
    #expect(read.variables.all == variables)
    #expect(read.variables.gathers == list.gathers)
    #expect(read.options == request.options)
  }

  /// What a response is made of.
  private struct Response {
    var checkpoint: OpenReply?
    var regions: [ResolveReply.Region] = []
    var handles: [Handle] = []
    var report = ResolveReply.Report()

    init(_ any: inout Anything) {
      checkpoint = any.maybe { $0.openReply() }
      regions = any.list { any in
        ResolveReply.Region(
          id: any.number(),
          place: any.flag() ? .file(any.count()) : .arena(descriptor: any.count()),
          byteCount: any.count(), isSealed: any.flag())
      }
      handles = any.list { $0.handle() }
      report.skipped = any.list { any in
        .init(
          variable: any.count(), tensor: any.name(),
          storedShape: any.maybe { any in Shape(any.list { $0.count() }) })
      }
      report.unused = any.list { $0.count() }
      report.uncovered = any.list { $0.count() }
      report.unusedTensors.count = any.count()
      for name in any.list({ $0.name() }) { report.unusedTensors.names.append(name) }
    }

    var bytes: [UInt8] {
      let scratch = Scratch()
      var frame = FieldWriter()
      frame.begin(OutgoingHandles(handles), report)
      frame.prepend(checkpoint, regions, scratch)
      return frame.copy()
    }
  }

  @Test(arguments: seeds) func `a Resolve reply survives a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let response = Response(&any)
    let read = try unpackResolveReply(response.bytes.rawSpan, Scratch())
    #expect(read.checkpoint == response.checkpoint)
    #expect(read.regions == response.regions)
    #expect((0..<read.handles.count).map { read.handles[$0] } == response.handles)
    #expect(read.report == response.report)
  }

  @Test func `a tensor continued in the next reply is one tensor`() throws {
    func tensor(_ name: Name, _ starts: Range<Int>, of shape: Shape = [9]) -> ListReply.Tensor {
      ListReply.Tensor(
        name: name, dtype: .uint8, shape: shape, byteCount: 9,
        slices: starts.map { TensorSlice(starts: [$0], counts: [1]) })
    }
    var all: [ListReply.Tensor] = []
    for next in [
      [tensor("a", 0..<9), tensor("b", 0..<2)], [tensor("b", 2..<7)],
      [tensor("b", 7..<9), tensor("c", 0..<0)], [], [tensor("d", 0..<1)],
    ] {
      try all.join(next)
    }
    #expect(
      all == [
        tensor("a", 0..<9), tensor("b", 0..<9), tensor("c", 0..<0), tensor("d", 0..<1),
      ])
    #expect(throws: MessageError.self) { try all.join([tensor("d", 1..<2, of: [3, 3])]) }
  }

  @Test(arguments: seeds) func `handles of several responses follow each other`(seed: UInt64) throws
  {
    var any = Anything(seed: seed)
    let responses = [Response(&any), Response(&any), Response(&any)]
    var reply = ResolveReply()
    for response in responses {
      try reply.add(unpacking: response.bytes.rawSpan, Scratch(), isPlan: false)
    }
    let all = reply.handles
    let handles = responses.flatMap(\.handles)
    #expect((0..<all.count).map { all[$0] } == handles)
    #expect((0..<all.count).map { all.variable($0) } == handles.map(\.variable))
  }

  @Test func `many handles survive a round trip, in any order of access`() throws {
    var any = Anything(seed: 7)
    let handles = (0..<200).map { _ in any.handle() }
    let scratch = Scratch()
    var frame = FieldWriter()
    frame.begin(OutgoingHandles(handles), ResolveReply.Report())
    let bytes = frame.copy()
    let read = try unpackResolveReply(bytes.rawSpan, scratch).handles
    for position in (0..<200).reversed() { #expect(read[position] == handles[position]) }
  }

  @Test func `handles that were sent are dropped`() throws {
    var any = Anything(seed: 1)
    var handles = OutgoingHandles((0..<9).map { _ in any.handle() })
    handles.removeAll()
    var frame = FieldWriter()
    frame.begin(handles, ResolveReply.Report())
    #expect(handles.count == 0 && handles.wireByteCount == 0 && frame.byteCount == 0)
  }

  @Test func `progress survives a round trip, alone`() throws {
    var frame = FieldWriter()
    let progress = ResolveReply.Progress(readyByteCount: 5, totalByteCount: 1 << 40)
    frame.begin(progress)
    let bytes = frame.copy()
    let read = try unpackResolveReply(bytes.rawSpan, Scratch())
    #expect(read.progress == progress)
    #expect(read.handles.count == 0 && read.regions.isEmpty && read.report == .init())
    let none = [UInt8]()
    #expect(try unpackResolveReply(none.rawSpan, Scratch()).progress == nil)
  }

  @Test(arguments: seeds) func `a status survives a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let problems = (0...any.count(below: 5)).map { _ in any.problem() }
    let status = CallStatus(problems, total: any.count(below: 9))
    #expect(try roundTrip(status, { $0.begin($1, $2) }, CallStatus.init) == status)
  }

  @Test(arguments: seeds) func `Preload survives a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    var request = PreloadRequest(any.reference())
    request.alignment = any.count(below: 1 << 13)
    (request.sealed, request.readAgain) = (any.flag(), any.flag())
    request.strides = any.flag()
    #expect(
      try roundTrip(request, { frame, request, _ in frame.begin(request) }, PreloadRequest.init)
        == request)
    var reply = PreloadReply(checkpoint: any.maybe { $0.openReply() })
    (reply.tensorCount, reply.byteCount) = (any.count(), any.count())
    reply.unshared = any.list { $0.problem() }
    #expect(try roundTrip(reply, { $0.begin($1, $2) }, PreloadReply.init) == reply)
    let progress = ResolveReply.Progress(
      readyByteCount: any.count(), totalByteCount: any.count())
    var frame = FieldWriter()
    frame.begin(progress, ofPreload: true)
    let note = try PreloadReply(unpacking: frame.copy().rawSpan, Scratch())
    #expect(note.progress == progress && note.checkpoint == nil)
  }

  @Test(arguments: seeds) func `Pin, Unpin and Evict survive a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let pin = PinRequest(
      any.reference(), as: any.flag() ? any.publication() : nil, isLocked: any.flag())
    #expect(try roundTrip(pin, { $0.begin($1, $2) }, PinRequest.init) == pin)
    for request in [GenerationRequest(generation: any.text()), GenerationRequest(name: any.text())]
    {
      #expect(
        try roundTrip(
          request, { frame, request, _ in frame.begin(request) }, GenerationRequest.init)
          == request)
    }
    var pinned = PinReply(checkpoint: any.maybe { $0.openReply() })
    (pinned.replacedGeneration, pinned.replacedLabel) = (any.text(), any.text())
    #expect(try roundTrip(pinned, { $0.begin($1, $2) }, PinReply.init) == pinned)
    let evicted = Evicted(
      checkpointCount: any.count(below: 1 << 31), pinnedCount: any.count(below: 1 << 31),
      leasedCount: any.count(below: 1 << 31))
    #expect(
      try roundTrip(evicted, { frame, reply, _ in frame.begin(reply) }, Evicted.init) == evicted)
  }

  @Test(arguments: seeds) func `a report survives a round trip`(seed: UInt64) throws {
    var any = Anything(seed: seed)
    let report = any.report()
    #expect(try roundTrip(report, { $0.begin($1, $2) }, StatusReport.init) == report)
  }

  @Test(arguments: seeds) func `envelopes survive a round trip around any body`(seed: UInt64) throws
  {
    var any = Anything(seed: seed)
    let scratch = Scratch()
    var frame = FieldWriter()
    let body = HelloRequest(label: any.text(), command: any.text())
    var call = Call(id: any.number() | 1)
    let path = Array(any.text().utf8)
    call.descriptorCount = any.count()
    call.timeoutMilliseconds = any.maybe { $0.count() + 1 }
    call.requiredFeatures = any.list { $0.text() }
    frame.begin(body, scratch)
    frame.finish(call, path: path)
    let message = frame.copy().dropFirst(Connection.prefixByteCount)
    var read = try Call(parsing: message)
    #expect(try HelloRequest(unpacking: frame.copy()[read.request].rawSpan, scratch) == body)
    #expect(Array(frame.copy()[read.path]) == path)
    (read.path, read.request) = (0..<0, 0..<0)
    #expect(read == call)
  }
}

extension OutgoingHandles {
  /// Handles to be sent, of tensors in a catalog of their own.
  fileprivate init(_ handles: [Handle]) {
    var catalog = Catalog()
    for handle in handles { catalog.append(handle.tensor, handle.dtype, handle.shape) }
    self.init(of: catalog)
    for (tensor, handle) in handles.enumerated() {
      append(
        variable: handle.variable, tensor, isNamed: !handle.tensor.bytes.isEmpty,
        handle.starts.map { TensorSlice(starts: $0, counts: Array(handle.shape.lengths)) },
        region: handle.region, offset: handle.offset, byteCount: handle.byteCount,
        strides: handle.strides)
    }
  }
}
