internal import CMessages
internal import CProtobufC
package import TensorModel

/// A response of `Resolve`: some regions, and handles into regions that have been named so far.
package struct ResolveReply: Sendable {
  /// A run of memory to map.
  package struct Region: Sendable, Hashable {
    /// Where the client finds it.
    package enum Place: Sendable, Hashable {
      /// A file that the client passed, by its position in the reference.
      case file(Int)
      /// An arena, by its position among the frame's descriptors.
      case arena(descriptor: Int)
    }

    /// Unique on the connection; the same arena has the same id.
    package var id: UInt64
    package var place: Place
    package var byteCount: Int
    /// `sealed` or `best-effort`.
    package var stability: String

    package init(id: UInt64, place: Place, byteCount: Int, stability: String) {
      self.id = id
      self.place = place
      self.byteCount = byteCount
      self.stability = stability
    }
  }

  /// A variable that was not assigned because the checkpoint lacks the tensor.
  package struct Skipped: Sendable, Hashable {
    package var variable: Int
    package var tensor: Name

    package init(variable: Int, tensor: Name) {
      self.variable = variable
      self.tensor = tensor
    }
  }

  /// In the first response, if the call opened the checkpoint.
  package private(set) var checkpoint: OpenReply?
  package private(set) var regions: [Region] = []
  /// Those of earlier responses to the call first.
  package private(set) var handles: Handles
  package private(set) var skipped: [Skipped] = []
  /// Positions of pairs of the map that matched no variable.
  package private(set) var unused: [Int] = []

  /// Unpacks a response, whose handles follow those of earlier ones.
  package init(
    unpacking bytes: RawSpan, _ scratch: Scratch, after handles: Handles = Handles()
  ) throws(MessageError) {
    self.handles = handles
    var reader = FieldReader(Span(_bytes: bytes))
    while let field = try reader.next() {
      guard case .bytes(let range) = field.value else { continue }
      let contents = bytes.extracting(range)
      switch field.number {
      case 1: checkpoint = try OpenReply(unpacking: contents, scratch)
      case 2: regions.append(try Region(unpacking: contents))
      case 3: self.handles.append(try HandleColumns(contents))
      case 4: skipped = try ResolveReply.skipped(contents, scratch)
      case 5:
        guard range.count % 4 == 0 else { throw .malformed("unused pairs of \(range.count) bytes") }
        unused += stride(from: 0, to: range.count, by: 4).map {
          Int(unsafe contents.unsafeLoadUnaligned(fromByteOffset: $0, as: UInt32.self))
        }
      default: break
      }
    }
  }

  private static func skipped(
    _ bytes: RawSpan, _ scratch: Scratch
  ) throws(MessageError) -> [Skipped] {
    let message = unsafe try scratch.unpack(
      bytes, limit: MessageLimit.reply, { unsafe warmstart__v1__skipped__unpack($0, $1, $2) })
    let variables = unsafe column(message.pointee.variables, message.pointee.n_variables)
    let tensors = try unsafe NameList(
      message.pointee.tensors, count: variables.count, of: "skipped variables")
    return variables.indices.map { Skipped(variable: Int(variables[$0]), tensor: tensors[$0]) }
  }
}

extension ResolveReply.Region {
  fileprivate init(unpacking bytes: RawSpan) throws(MessageError) {
    var reader = FieldReader(Span(_bytes: bytes))
    var kind: UInt64 = 0
    var (file, descriptor) = (0, 0)
    (id, byteCount, stability) = (0, 0, "")
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): id = value
      case (2, .varint(let value)): kind = value
      case (3, .varint(let value)): byteCount = Int(clamping: value)
      case (4, .varint(let value)): file = Int(clamping: value)
      case (5, .varint(let value)): descriptor = Int(clamping: value)
      case (6, .bytes(let range)):
        stability = unsafe bytes.extracting(range).withUnsafeBytes {
          unsafe String(decoding: $0, as: UTF8.self)
        }
      default: break
      }
    }
    switch Warmstart__V1__Region__Kind(rawValue: UInt32(clamping: kind)) {
    case WARMSTART__V1__REGION__KIND__FILE: place = .file(file)
    case WARMSTART__V1__REGION__KIND__ARENA: place = .arena(descriptor: descriptor)
    default: throw .malformed("a region of an unknown kind")
    }
  }
}

extension OutgoingFrame {
  private mutating func prepend(_ region: ResolveReply.Region) {
    var stability = region.stability
    stability.withUTF8 { unsafe prepend(field: 6, Span(_unsafeElements: $0)) }
    let kind: Warmstart__V1__Region__Kind
    switch region.place {
    case .file(let position):
      kind = WARMSTART__V1__REGION__KIND__FILE
      prepend(field: 4, UInt64(position))
    case .arena(let position):
      kind = WARMSTART__V1__REGION__KIND__ARENA
      prepend(field: 5, UInt64(position))
    }
    prepend(field: 3, UInt64(region.byteCount))
    prepend(field: 2, UInt64(kind.rawValue))
    prepend(field: 1, region.id)
  }
}

extension OutgoingFrame {
  /// Begins a frame whose body is a response, less what the connection makes different.
  package mutating func begin(
    _ handles: OutgoingHandles, skipped: [ResolveReply.Skipped], unused: [Int], _ scratch: Scratch
  ) {
    begin(reserving: handles.wireByteCount)
    prepend(field: 5, count: unused.count) { UInt32(unused[$0]) }
    if !skipped.isEmpty {
      prepend(field: 4) { frame in
        scratch.begin()
        unsafe frame.prepend(&skipped.message(scratch).pointee.base)
      }
    }
    if handles.count > 0 { prepend(field: 3) { frame in handles.prepend(to: &frame) } }
  }

  /// Begins a frame whose body is the fields of a response that were packed before.
  package mutating func begin(fields: [UInt8]) {
    begin(reserving: fields.count)
    prepend(fields.span)
  }

  /// Puts in front what the connection makes different in a response.
  package mutating func prepend(
    _ checkpoint: OpenReply?, _ regions: [ResolveReply.Region], _ scratch: Scratch
  ) {
    for region in regions.reversed() { prepend(field: 2) { frame in frame.prepend(region) } }
    guard let checkpoint else { return }
    prepend(field: 1) { frame in
      scratch.begin()
      unsafe frame.prepend(&checkpoint.message(scratch).pointee.base)
    }
  }
}

extension [ResolveReply.Skipped] {
  fileprivate func message(_ scratch: Scratch) -> UnsafeMutablePointer<Warmstart__V1__Skipped> {
    let message = unsafe scratch.make(1, of: Warmstart__V1__Skipped.self)
    unsafe warmstart__v1__skipped__init(message)
    unsafe message.pointee.n_variables = count
    unsafe message.pointee.variables = scratch.column(map { UInt32($0.variable) })
    unsafe message.pointee.tensors = scratch.names(count) { self[$0].tensor }
    return unsafe message
  }
}
