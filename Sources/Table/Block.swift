/// One block's contents, verified, and expanded if they were compressed.
struct Block: ~Copyable, ~Escapable {
  /// The offset of the block in the file.
  let offset: Int
  private let stored: RawSpan
  private let expanded: [UInt8]
  private let isExpanded: Bool

  /// Verifies the checksum of a block in a file, and expands the block if it is compressed.
  @_lifetime(copy file)
  init(
    _ handle: BlockHandle, of file: RawSpan, allowance: inout Allowance
  ) throws(TableError) {
    let bytes = file.extracting(handle.offset..<handle.end)
    try self.init(stored: bytes, at: handle.offset, allowance: &allowance)
  }

  /// Verifies a block from its bytes, which end in its trailer.
  @_lifetime(copy bytes)
  init(stored bytes: RawSpan, at offset: Int, allowance: inout Allowance) throws(TableError) {
    let typed = bytes.extracting(droppingLast: 4)
    var trailer = Cursor(bytes.extracting(last: 4))
    let checksum = try trailer.fixed32()
    let computed = Checksum.masked(of: typed)
    guard checksum == computed
    else { throw .checksumMismatch(block: offset, stored: checksum, computed: computed) }
    let stored = typed.extracting(droppingLast: 1)
    let type = Span<UInt8>(_bytes: typed)[stored.byteCount]
    let expanded: [UInt8]
    switch type {
    case Block.plain: expanded = []
    case Block.snappy: expanded = try allowance.expand(stored, block: offset)
    default: throw .badBlockType(block: offset, type: type)
    }
    self.offset = offset
    self.stored = stored
    self.expanded = expanded
    isExpanded = type == Block.snappy
  }

  /// Takes contents that were verified before.
  @_lifetime(copy contents)
  init(verified contents: RawSpan, at offset: Int) {
    self.offset = offset
    stored = contents
    expanded = []
    isExpanded = false
  }

  /// A placeholder before the first block, with empty contents.
  @_lifetime(copy file)
  init(noneOf file: RawSpan) {
    offset = 0
    stored = file.extracting(first: 0)
    expanded = []
    isExpanded = false
  }

  /// The contents: entries, then restart offsets, then their number.
  var contents: Span<UInt8> {
    @inline(__always)
    @_lifetime(borrow self)
    borrowing get {
      if isExpanded { return expanded.span }
      return Span(_bytes: stored)
    }
  }

  /// The expanded contents; nil if the block is not compressed.
  consuming func takeExpanded() -> [UInt8]? { isExpanded ? expanded : nil }

  /// The type of a block that is not compressed.
  static let plain: UInt8 = 0
  /// The type of a block that snappy compressed.
  static let snappy: UInt8 = 1
}
