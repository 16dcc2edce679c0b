internal import CWarmstartMessages
internal import CWarmstartProtobufC
package import WarmstartProtobuf
package import WarmstartTensorModel

/// Which checkpoint a call is about.
package enum CheckpointReference: Sendable, Hashable {
  /// One that the connection has opened.
  case handle(UInt64)
  /// One whose files come with the call or were attached; the label is for people.
  case files([CheckpointFile], label: String)
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
    self = try unsafe CheckpointReference(
      scratch.unpack(
        bytes, limit: MessageLimit.request(bytes.byteCount),
        { unsafe warmstart__v1__checkpoint_reference__unpack($0, $1, $2) }))
  }

  init(
    _ pointer: UnsafeMutablePointer<Warmstart__V1__CheckpointReference>?
  ) throws(MessageError) {
    guard let message = unsafe pointer?.pointee else { throw .malformed("no checkpoint") }
    guard unsafe (message.handle != 0) != (message.n_files > 0) else {
      throw .malformed("a checkpoint is either a handle or files")
    }
    if unsafe message.handle != 0 {
      self = unsafe .handle(message.handle)
    } else {
      guard unsafe message.n_files <= maximumCheckpointFiles else {
        throw .malformed("more than \(maximumCheckpointFiles) files")
      }
      var files: [CheckpointFile] = []
      for index in 0..<(unsafe message.n_files) {
        guard let file = unsafe message.files[index]?.pointee else { continue }
        files.append(try unsafe CheckpointFile(file))
      }
      self = unsafe .files(files, label: text(message.label))
    }
  }

  func message(
    _ scratch: Scratch
  ) -> UnsafeMutablePointer<Warmstart__V1__CheckpointReference> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__CheckpointReference.self)
    unsafe warmstart__v1__checkpoint_reference__init(message)
    switch self {
    case .handle(let handle): unsafe message.pointee.handle = handle
    case .files(let files, let label):
      unsafe message.pointee.label = scratch.text(label)
      unsafe message.pointee.n_files = files.count
      unsafe message.pointee.files = scratch.messages(files) { file, message in
        unsafe warmstart__v1__checkpoint_file__init(message)
        unsafe file.fill(&message.pointee)
      }
    }
    return unsafe message
  }
}

extension CheckpointFile {
  fileprivate init(_ message: Warmstart__V1__CheckpointFile) throws(MessageError) {
    let shard = unsafe Int(message.shard)
    let total = unsafe Int(message.shard_count)
    switch unsafe message.role {
    case WARMSTART__V1__CHECKPOINT_FILE__ROLE__INDEX: role = .index
    case WARMSTART__V1__CHECKPOINT_FILE__ROLE__SHARD: role = .shard(shard, of: total)
    case WARMSTART__V1__CHECKPOINT_FILE__ROLE__TABLE: role = .table
    default: throw .malformed("a file without a role")
    }
    let attached = unsafe message.attached
    source = unsafe attached != 0 ? .attached(attached) : .descriptor(Int(message.descriptor))
  }

  fileprivate func fill(_ message: inout Warmstart__V1__CheckpointFile) {
    switch role {
    case .index: unsafe message.role = WARMSTART__V1__CHECKPOINT_FILE__ROLE__INDEX
    case .table: unsafe message.role = WARMSTART__V1__CHECKPOINT_FILE__ROLE__TABLE
    case .shard(let shard, let total):
      unsafe message.role = WARMSTART__V1__CHECKPOINT_FILE__ROLE__SHARD
      unsafe message.shard = UInt32(shard)
      unsafe message.shard_count = UInt32(total)
    }
    switch source {
    case .descriptor(let position): unsafe message.descriptor = UInt32(position)
    case .attached(let id): unsafe message.attached = id
    }
  }
}
