internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

/// Which checkpoint a call is about.
package struct CheckpointReference: Sendable, Hashable {
  /// How the call names the checkpoint.
  package enum Source: Sendable, Hashable {
    /// One that the connection has opened.
    case handle(UInt64)
    /// One whose files come with the call or were attached; the label is for people.
    case files([CheckpointFile], label: String)
    /// One that an administrator published; the name is not checked yet.
    case name(String)
  }

  package var source: Source
  /// The SHA-256 that the checkpoint's files must have; nil for any.
  ///
  /// The length is not checked yet.
  package var expectedSHA256: [UInt8]?

  package init(_ source: Source, expecting digest: [UInt8]? = nil) {
    self.source = source
    expectedSHA256 = digest
  }

  /// Names a checkpoint that the connection has opened.
  package static func handle(_ handle: UInt64) -> Self { Self(.handle(handle)) }
  /// Names a checkpoint by its files.
  package static func files(_ files: [CheckpointFile], label: String) -> Self {
    Self(.files(files, label: label))
  }
  /// Names a published checkpoint.
  package static func name(_ name: String) -> Self { Self(.name(name)) }
}

/// A file of a checkpoint and what it is for.
package struct CheckpointFile: Sendable, Hashable {
  /// Where the open file is.
  package enum Source: Sendable, Hashable {
    /// At a position among the frame's descriptors.
    case descriptor(Int)
    /// Under an id that `Attach` gave.
    case attached(UInt64)
  }

  package var role: FileRole
  package var source: Source

  package init(_ role: FileRole, _ source: Source) {
    self.role = role
    self.source = source
  }
}

extension CheckpointReference {
  /// Unpacks the message that a request begins with.
  package init(unpacking bytes: RawSpan, _ scratch: Scratch) throws(MessageError) {
    // Most calls name a checkpoint by its handle alone, which needs no memory.
    if let handle = CheckpointReference.soleHandle(bytes) {
      self = .handle(handle)
      return
    }
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.request(bytes.byteCount),
      { unsafe warmstart__v1__checkpoint_reference__unpack($0, $1, $2) })
    try unsafe self.init(message, of: message.pointee.base, in: bytes)
  }

  /// The handle, if the message has nothing else.
  private static func soleHandle(_ bytes: RawSpan) -> UInt64? {
    var reader = FieldReader(Span(_bytes: bytes))
    guard let field = try? reader.next(), field.number == 1,
      case .varint(let handle) = field.value, handle != 0, reader.position == bytes.byteCount
    else { return nil }
    return handle
  }

  /// Reads the reference of a request.
  ///
  /// - Parameters:
  ///   - request: The request, or the reference alone.
  ///   - packed: The bytes of the request.
  init(
    _ pointer: UnsafeMutablePointer<Warmstart__V1__CheckpointReference>?,
    of request: ProtobufCMessage, in packed: RawSpan
  ) throws(MessageError) {
    guard let message = unsafe pointer?.pointee else { throw .malformed("no checkpoint") }
    // Most references are a handle; of their requests, only those that publish have another text.
    if unsafe message.handle == 0 { try unsafe Scratch.expectWholeTexts(in: packed, of: request) }
    let name = unsafe text(message.name)
    let count = unsafe (message.handle != 0 ? 1 : 0) + (message.n_files > 0 ? 1 : 0)
    guard count + (name.isEmpty ? 0 : 1) == 1 else {
      throw .malformed("a checkpoint is a handle, files or a name")
    }
    if unsafe message.handle != 0 {
      source = unsafe .handle(message.handle)
    } else if !name.isEmpty {
      source = .name(name)
    } else {
      guard unsafe message.n_files <= maximumCheckpointFiles else {
        throw .malformed("more than \(maximumCheckpointFiles) files")
      }
      var files: [CheckpointFile] = []
      for index in 0..<(unsafe message.n_files) {
        guard let file = unsafe message.files[index]?.pointee else { continue }
        files.append(try unsafe CheckpointFile(file))
      }
      source = unsafe .files(files, label: text(message.label))
    }
    let digest = unsafe bytes(message.expected_sha256)
    expectedSHA256 = digest.isEmpty ? nil : Array(digest)
  }
}

extension CheckpointFile {
  fileprivate init(_ message: Warmstart__V1__CheckpointFile) throws(MessageError) {
    let shard = unsafe Int(message.shard)
    let total = unsafe Int(message.shard_count)
    switch unsafe message.role {
    case WARMSTART__V1__CHECKPOINT_FILE__ROLE__INDEX: role = .index
    case WARMSTART__V1__CHECKPOINT_FILE__ROLE__SHARD: role = .shard(shard, of: total)
    case WARMSTART__V1__CHECKPOINT_FILE__ROLE__WHOLE: role = .whole
    default: throw .malformed("a file without a role")
    }
    let attached = unsafe message.attached
    source = unsafe attached != 0 ? .attached(attached) : .descriptor(Int(message.descriptor))
  }
}

extension FieldWriter {
  /// Puts the fields of the message in front.
  mutating func prepend(_ reference: CheckpointReference) {
    if let digest = reference.expectedSHA256 { prepend(field: 6, digest.span) }
    switch reference.source {
    case .name(let name): prepend(field: 5, text: name)
    case .handle(let handle): prepend(field: 1, handle)
    case .files(let files, let label):
      prepend(field: 4, text: label)
      for file in files.reversed() { prepend(field: 2) { frame in frame.prepend(file) } }
    }
  }

  private mutating func prepend(_ file: CheckpointFile) {
    switch file.source {
    case .descriptor(let position): prepend(field: 4, UInt64(position))
    case .attached(let id): prepend(field: 5, id)
    }
    let role: Warmstart__V1__CheckpointFile__Role
    switch file.role {
    case .index: role = WARMSTART__V1__CHECKPOINT_FILE__ROLE__INDEX
    case .whole: role = WARMSTART__V1__CHECKPOINT_FILE__ROLE__WHOLE
    case .shard(let shard, let total):
      role = WARMSTART__V1__CHECKPOINT_FILE__ROLE__SHARD
      prepend(field: 3, UInt64(total))
      prepend(field: 2, UInt64(shard))
    }
    prepend(field: 1, UInt64(role.rawValue))
  }
}
