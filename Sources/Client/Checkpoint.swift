import SystemPackage
import WarmstartKernel
import WarmstartLocate
import WarmstartMessages
import WarmstartProtobuf
public import WarmstartTensorModel
import WarmstartWire

/// An open checkpoint; its lease ends with the last reference to it.
public final class Checkpoint: Sendable {
  /// A tensor that the checkpoint holds.
  public struct StoredTensor: Sendable, Hashable {
    /// The name in the checkpoint.
    public let name: Name
    /// The element type.
    public let dtype: DataType
    /// The shape of the whole tensor.
    public let shape: Shape
    /// The number of bytes in the checkpoint.
    public let byteCount: Int
    /// The slices in which the checkpoint stores the tensor; empty if it is stored whole.
    public let slices: [TensorSlice]
  }

  /// The path as TensorFlow reports it: for a directory, the prefix that its `checkpoint` file
  /// names; for a published checkpoint, `name:` and the name.
  public let path: String
  /// The identity of the checkpoint's bytes: it changes when a file changes.
  public let generation: String
  /// The format of the checkpoint's files.
  public let format: CheckpointFormat
  /// The number of tensors.
  public let tensorCount: Int
  /// The number of bytes of all tensors.
  public let byteCount: Int
  /// The SHA-256 of the files in hexadecimal digits, if the daemon knew it when the checkpoint was
  /// opened; else nil.
  ///
  /// `Expectation` says of which bytes.
  public let sha256: String?

  let client: Client
  private let source: CheckpointSource
  private let state: Monitor<State>

  /// What calls on several threads share.
  private struct State {
    var lease: Lease
    /// The files that are mapped whole, by their positions.
    var mappings: [Mapping?]
    /// The one region of the last answer that was in one file only, and the file's position.
    var lastRegion: (file: Int, regions: [Region]) = (0, [])
  }

  /// A handle, and the session that it belongs to.
  private struct Lease {
    var session: Int
    var handle: UInt64
  }

  convenience init(
    _ path: String, _ client: Client, expecting expectation: Expectation? = nil,
    until deadline: Deadline, needsData: Bool = true
  ) throws(WarmstartError) {
    let source = try CheckpointSource(path, needsData: needsData, expecting: expectation)
    var opened: OpenReply?
    let session = try WarmstartError.calling(about: source.path) { () throws(WarmstartError) in
      try client.call(
        .open, features: source.features, until: deadline
      ) { session throws(SessionError) in
        let (reference, passed) = try source.reference(on: session, until: deadline)
        session.connection.compose { $0.begin(OpenRequest(reference), $1) }
        return passed
      } read: { bytes, scratch, _ throws(MessageError) in
        opened = try OpenReply(unpacking: bytes, scratch)
      }
    }
    try self.init(source, opened, client, session)
  }

  /// Takes over what a call on a session opened.
  init(
    _ source: CheckpointSource, _ opened: OpenReply?, _ client: Client, _ session: Int
  ) throws(WarmstartError) {
    guard let opened else {
      throw WarmstartError(
        .connection, "malformed reply: no checkpoint, expected the one that was opened")
    }
    guard let format = CheckpointFormat(rawValue: opened.format) else {
      // No value of this process would ever close it.
      client.giveBack(opened.handle, session: session)
      throw WarmstartError(
        .connection, "malformed reply: format \"\(opened.format)\", expected \"v1\" or \"v2\"")
    }
    self.client = client
    self.source = source
    self.format = format
    path = source.path
    generation = opened.generation
    tensorCount = opened.tensorCount
    byteCount = opened.byteCount
    sha256 = opened.sha256.isEmpty ? nil : opened.sha256.hexadecimal
    state = Monitor(
      State(
        lease: Lease(session: session, handle: opened.handle),
        mappings: Array(repeating: nil, count: source.parts.count)))
  }

  deinit {
    // The lease ends with the connection at the latest.
    let lease = state.withLock { $0.lease }
    client.giveBack(lease.handle, session: lease.session)
  }

  /// The name under which an administrator published the checkpoint; nil if it was opened by a
  /// path.
  package static func name(in word: String) throws(WarmstartError) -> PublishedName? {
    do throws(Problem) { return try PublishedName(word: word) } catch {
      throw WarmstartError(error)
    }
  }

  /// The label under which the daemon's status shows the checkpoint at a path.
  package static func label(of path: String) -> String { CheckpointFiles.absolute(path) }

  /// Whether this checkpoint and another are leased on the same connection.
  ///
  /// If not, the earlier of the two leases has ended with its connection.
  package func isLeased(besides other: Checkpoint) -> Bool {
    state.withLock { $0.lease.session } == other.state.withLock { $0.lease.session }
  }

  /// Lists all tensors in the order of their names' bytes.
  ///
  /// - Parameter timeout: How long to wait; nil for as long as it takes.
  /// - Returns: The tensors.
  /// - Throws: `WarmstartError` with the reason `checkpointChanged`, `connection` or `deadline`; on
  ///   a new connection, which opens the checkpoint again, also with a reason of `Client.open`.
  public func list(timeout: Duration? = nil) throws(WarmstartError) -> [StoredTensor] {
    var tensors: [ListReply.Tensor] = []
    try call(.list, until: Deadline(timeout), starting: { tensors = [] }) {
      reference, frame, scratch in
      frame.begin(OpenRequest(reference), scratch)
    } read: { bytes, scratch, _ throws(MessageError) in
      let reply = try ListReply(unpacking: bytes, scratch)
      try tensors.join(reply.tensors)
      return reply.checkpoint
    }
    return tensors.map(StoredTensor.init)
  }

  /// The tables of a V1 checkpoint that the names of the others announce and that are missing; or
  /// nil.
  ///
  /// If the path names a single table, no other is missing.
  package var missingTables: Problem? {
    guard format == .v1, source.parts.map(\.path.string) != [path] else { return nil }
    let names = source.parts.compactMap(\.path.lastComponent).map { Name($0.string) }
    return TableNames(names).message.map { Problem(.checkpointNotFound, $0) }
  }

  /// The open files, in the order of the reference.
  var parts: [CheckpointFiles.Part] { source.parts }

  /// The open file at a position of the reference, which file regions name; nil for no such file.
  func file(_ position: Int) -> File? {
    source.parts.indices.contains(position) ? source.parts[position].file : nil
  }

  /// The mapping of the file at a position, which must exist; the first call makes it.
  func mapping(
    _ position: Int, _ make: () throws(WarmstartError) -> Mapping
  ) throws(WarmstartError) -> Mapping {
    if let known = state.withLock({ $0.mappings[position] }) { return known }
    // Without the lock: a file system that hangs must not hold up other threads' calls.
    let made = try make()
    return state.withLock { state in
      if let known = state.mappings[position] { return known }
      state.mappings[position] = made
      return made
    }
  }

  /// The region of the last answer that was in one file only, if it is the same that the daemon
  /// names now; else nil.
  func knownRegion(_ region: ResolveReply.Region, _ extent: Range<Int>) -> [Region]? {
    guard case .file(let position) = region.place else { return nil }
    let last = state.withLock { $0.lastRegion }
    guard last.file == position, last.regions.count == 1,
      last.regions.span[0].isSame(as: region, holding: extent)
    else { return nil }
    return last.regions
  }

  /// Keeps the one region of an answer for `knownRegion`, if it is a file's.
  func keep(_ regions: [Region], _ region: ResolveReply.Region) {
    guard case .file(let position) = region.place else { return }
    // What was kept before ends outside the lock.
    _ = state.withLock { state in
      let last = state.lastRegion
      state.lastRegion = (position, regions)
      return last
    }
  }

  /// Makes a call about this checkpoint, by its handle if the session knows it, else by its files.
  ///
  /// `starting` runs for each try, before `write` begins the request's frame; `read` returns what
  /// the call opened, if the response says so.
  func call(
    _ method: Method, features: [String] = [], until deadline: Deadline, starting: () -> Void,
    write: (CheckpointReference, inout FieldWriter, Scratch) -> Void,
    read: (RawSpan, Scratch, [File]) throws(MessageError) -> OpenReply?
  ) throws(WarmstartError) {
    var opened: OpenReply?
    let session = try WarmstartError.calling(about: path) { () throws(WarmstartError) in
      try client.call(
        method, features: features + source.features, until: deadline
      ) { session throws(SessionError) in
        starting()
        opened = nil
        let known = state.withLock { $0.lease }
        if known.session == session.number {
          session.connection.compose { write(.handle(known.handle), &$0, $1) }
          return []
        }
        let (reference, passed) = try source.reference(on: session, until: deadline)
        session.connection.compose { write(reference, &$0, $1) }
        return passed
      } read: { bytes, scratch, files throws(MessageError) in
        if let reply = try read(bytes, scratch, files) { opened = reply }
      }
    }
    guard let opened else { return }
    guard opened.generation == generation else {
      // This call opened what is there now, which no value of this process would ever close.
      client.giveBack(opened.handle, session: session)
      throw WarmstartError(
        .checkpointChanged, "\(path) has changed since it was opened; open it again")
    }
    let isKept = state.withLock { state in
      guard state.lease.session < session else { return false }
      state.lease = Lease(session: session, handle: opened.handle)
      return true
    }
    // Another thread opened the checkpoint on this session first: one handle is enough.
    if !isKept { client.giveBack(opened.handle, session: session) }
  }
}

extension Checkpoint.StoredTensor {
  fileprivate init(_ tensor: ListReply.Tensor) {
    name = tensor.name
    dtype = tensor.dtype
    // Users count axes from 0, which a run of a longer buffer does not.
    shape = Shape(Array(tensor.shape.lengths))
    byteCount = tensor.byteCount
    slices = tensor.slices
  }
}
