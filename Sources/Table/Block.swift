/// One block's contents, verified, and expanded if they were compressed.
struct Block: ~Copyable, ~Escapable {
  /// The offset of the block in the file.
  let offset: Int
  private let stored: RawSpan
  private let expanded: [UInt8]
  private let isExpanded: Bool

  /// Verifies the checksum of a block that lies in the file, and expands it if need be.
  @_lifetime(copy file)
  init(
    _ handle: BlockHandle, of file: RawSpan, allowance: inout Allowance
  ) throws(TableError) {
    let offset = handle.offset
    let typed = file.extracting(offset..<offset + handle.byteCount + 1)
    var trailer = Cursor(file.extracting(handle.end - 4..<handle.end))
    let checksum = try trailer.fixed32()
    let computed = Checksum.masked(of: typed)
    guard checksum == computed
    else { throw .checksumMismatch(block: offset, stored: checksum, computed: computed) }
    let stored = typed.extracting(droppingLast: 1)
    let type = Span<UInt8>(_bytes: typed)[handle.byteCount]
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

  /// Stands for no block: contents of no bytes.
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

  private static let plain: UInt8 = 0
  private static let snappy: UInt8 = 1
}
