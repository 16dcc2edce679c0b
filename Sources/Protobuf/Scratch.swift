package import CWarmstartProtobufC

/// Memory for the C structs of one message at a time, with a limit, and freed all at once.
///
/// A legal frame of 16 MiB can unpack to more than 1 GiB (empty messages of two bytes), so what
/// protobuf-c allocates is counted against a limit. Not shared between threads.
@safe
package final class Scratch {
  private let bump: UnsafeMutablePointer<Bump>
  private let allocator: UnsafeMutablePointer<ProtobufCAllocator>

  package init() {
    unsafe bump = .allocate(capacity: 1)
    unsafe bump.initialize(to: Bump())
    unsafe allocator = .allocate(capacity: 1)
    unsafe allocator.initialize(
      to: ProtobufCAllocator(
        alloc: { data, size in
          // The data is the bump of the scratch that protobuf-c unpacks for.
          unsafe data.unsafelyUnwrapped.assumingMemoryBound(to: Bump.self).pointee.allocate(size)
        },
        free: { _, _ in },
        allocator_data: bump))
  }

  deinit {
    unsafe bump.pointee.reset(keeping: 0)
    unsafe bump.deinitialize(count: 1)
    unsafe bump.deallocate()
    unsafe allocator.deinitialize(count: 1)
    unsafe allocator.deallocate()
  }

  /// Frees everything that was unpacked or made, and sets the limit for what follows, in bytes.
  package func begin(limit: Int = .max) {
    unsafe bump.pointee.reset(keeping: 1)
    unsafe bump.pointee.limit = limit
  }

  /// Frees everything that was unpacked or made, and all memory but one block.
  package func giveBack() {
    unsafe bump.pointee.reset(keeping: 1)
  }

  /// Unpacks a message, which stays until `begin`.
  ///
  /// `unpack` is the generated function of the message.
  package func unpack<Message>(
    _ bytes: RawSpan, limit: Int,
    _ unpack: (
      UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?
    ) -> UnsafeMutablePointer<Message>?
  ) throws(MessageError) -> UnsafeMutablePointer<Message> {
    begin(limit: limit)
    let message = unsafe bytes.withUnsafeBytes { bytes in
      unsafe unpack(
        allocator, bytes.count, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
    }
    if let message = unsafe message { return unsafe message }
    if unsafe bump.pointee.isOverLimit { throw .tooLarge(limit: limit) }
    throw .malformed("not a \(Message.self)")
  }

  /// Throws if a text of a message has a NUL, where protobuf-c's texts end.
  ///
  /// Otherwise a check of the text would pass for what comes before the NUL.
  ///
  /// - Parameters:
  ///   - bytes: The packed message.
  ///   - message: The unpacked message.
  package static func expectWholeTexts(
    in bytes: RawSpan, of message: ProtobufCMessage
  ) throws(MessageError) {
    if let descriptor = unsafe message.descriptor {
      try unsafe expectWholeTexts(in: bytes, of: descriptor)
    }
  }

  private static func expectWholeTexts(
    in bytes: RawSpan, of descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  ) throws(MessageError) {
    var reader = FieldReader(Span(_bytes: bytes))
    while let field = try reader.next() {
      guard case .bytes(let range) = field.value,
        let known = unsafe protobuf_c_message_descriptor_get_field(
          descriptor, UInt32(truncatingIfNeeded: field.number))
      else { continue }
      let contents = bytes.extracting(range)
      switch unsafe known.pointee.type {
      case PROTOBUF_C_TYPE_STRING:
        if let offset = unsafe contents.withUnsafeBytes({ unsafe $0.firstIndex(of: 0) }) {
          let name = unsafe String(cString: known.pointee.name)
          throw .malformed("a text '\(name)' with a NUL at byte \(offset), expected none")
        }
      case PROTOBUF_C_TYPE_MESSAGE:
        if let inner = unsafe known.pointee.descriptor {
          try unsafe expectWholeTexts(
            in: contents, of: inner.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
        }
      default: break
      }
    }
  }

  /// Allocates uninitialized memory that lasts until `begin`; traps if the limit is reached.
  package func make<Value>(_ count: Int, of type: Value.Type = Value.self) -> UnsafeMutablePointer<
    Value
  > {
    let memory = unsafe bump.pointee.allocate(max(1, count) * MemoryLayout<Value>.stride)
    return unsafe memory.unsafelyUnwrapped.bindMemory(to: Value.self, capacity: count)
  }

  /// Copies bytes for a `bytes` field.
  package func bytes(_ bytes: ArraySlice<UInt8>) -> ProtobufCBinaryData {
    let copy = unsafe make(bytes.count, of: UInt8.self)
    _ = unsafe UnsafeMutableBufferPointer(start: copy, count: bytes.count)
      .update(fromContentsOf: bytes)
    return unsafe ProtobufCBinaryData(len: bytes.count, data: copy)
  }

  /// Copies a text with a NUL behind it; the reader loses what follows a NUL inside the text.
  package func text(_ text: String) -> UnsafeMutablePointer<CChar> {
    let utf8 = Array(text.utf8)
    let copy = unsafe make(utf8.count + 1, of: CChar.self)
    for (index, byte) in utf8.enumerated() { unsafe copy[index] = CChar(bitPattern: byte) }
    unsafe copy[utf8.count] = 0
    return unsafe copy
  }

  /// Copies numbers for a repeated field of 64-bit integers.
  package func integers(_ values: some Collection<Int>) -> UnsafeMutablePointer<Int64> {
    let copy = unsafe make(values.count, of: Int64.self)
    for (index, value) in values.enumerated() { unsafe copy[index] = Int64(value) }
    return unsafe copy
  }

  /// Makes one C message for each element, and the array of pointers that a repeated field is.
  package func messages<Elements: Collection, Message>(
    _ elements: Elements, _ fill: (Elements.Element, UnsafeMutablePointer<Message>) -> Void
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Message>?> {
    let all = unsafe make(elements.count, of: Message.self)
    let pointers = unsafe make(elements.count, of: UnsafeMutablePointer<Message>?.self)
    for (index, element) in elements.enumerated() {
      unsafe fill(element, all + index)
      unsafe pointers[index] = all + index
    }
    return unsafe pointers
  }
}

/// Blocks of memory; the last one is handed out from front to back.
@safe
private struct Bump {
  /// The first block serves most messages and is kept.
  static let firstByteCount = 64 << 10
  static let alignment = 16

  var limit = Int.max
  var isOverLimit = false
  private var taken = 0
  private var used = 0
  private var capacity = 0
  /// The block that is handed out now: the last one.
  private var current: UnsafeMutableRawPointer?
  private var blocks: [UnsafeMutableRawPointer] = unsafe []

  mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    // A size is one of ours, or protobuf-c's count of elements it saw times a struct's size.
    let rounded = (max(1, size) + Bump.alignment - 1) & ~(Bump.alignment - 1)
    guard rounded <= limit - taken else {
      isOverLimit = true
      return nil
    }
    if rounded > capacity - used { addBlock(of: rounded) }
    let memory = unsafe current.unsafelyUnwrapped + used
    used += rounded
    taken += rounded
    return unsafe memory
  }

  @inline(never) private mutating func addBlock(of byteCount: Int) {
    let wanted = unsafe blocks.isEmpty ? Bump.firstByteCount : min(capacity * 2, 8 << 20)
    capacity = max(wanted, byteCount)
    let block = UnsafeMutableRawPointer.allocate(
      byteCount: capacity, alignment: Bump.alignment)
    unsafe blocks.append(block)
    unsafe current = block
    used = 0
  }

  mutating func reset(keeping count: Int) {
    while unsafe blocks.count > count { unsafe blocks.removeLast().deallocate() }
    // The first block may be larger than usual: a large first request made it.
    if unsafe blocks.count == 1, capacity > Bump.firstByteCount, taken > Bump.firstByteCount {
      unsafe blocks.removeLast().deallocate()
    }
    capacity = unsafe blocks.isEmpty ? 0 : Bump.firstByteCount
    unsafe current = blocks.first
    used = 0
    taken = 0
    isOverLimit = false
  }
}

// MARK: - Reading C messages

/// The elements of a repeated message field.
package func elements<Message>(
  _ pointers: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?, _ count: Int
) -> UnsafeBufferPointer<UnsafeMutablePointer<Message>?> {
  unsafe UnsafeBufferPointer(start: pointers, count: count)
}

/// The numbers of a repeated field of 64-bit integers.
package func integers(_ values: UnsafeMutablePointer<Int64>?, _ count: Int) -> [Int] {
  unsafe UnsafeBufferPointer(start: values, count: count).map { Int($0) }
}

/// A copy of the bytes of a `bytes` field.
package func bytes(_ data: ProtobufCBinaryData) -> ArraySlice<UInt8> {
  unsafe ArraySlice(UnsafeBufferPointer(start: data.data, count: data.len))
}

/// The text of a C string; empty for a null pointer.
package func text(_ characters: UnsafeMutablePointer<CChar>?) -> String {
  guard let characters = unsafe characters else { return "" }
  return unsafe String(cString: characters)
}
