/// The last bytes of a table: the handles of its index and metaindex, and a magic number.
struct Footer {
  let metaindex: BlockHandle
  let index: BlockHandle

  /// Reads the footer of a whole file.
  ///
  /// The metaindex must lie in the file. Like TensorFlow, this module does not read it.
  init(of file: RawSpan) throws(TableError) {
    try self.init(endOf: file, fileByteCount: file.byteCount)
  }

  /// Reads the footer from the end of a file of a given length.
  init(endOf file: RawSpan, fileByteCount: Int) throws(TableError) {
    guard file.byteCount >= Footer.byteCount else { throw .tooShort(byteCount: fileByteCount) }
    let limit = fileByteCount - Footer.byteCount
    var magic = Cursor(file.extracting(last: 8))
    guard try magic.fixed64() == Footer.magic else { throw .badMagic }
    var cursor = Cursor(file.extracting(last: Footer.byteCount).extracting(droppingLast: 8))
    metaindex = try BlockHandle(.metaindex, from: &cursor, limit: limit)
    index = try BlockHandle(.index, from: &cursor, limit: limit)
  }

  /// Two handles of at most 20 bytes each, padded, and the magic number.
  static let byteCount = 48

  /// leveldb's number, "picked by running echo http://code.google.com/p/leveldb/ | sha1sum".
  static let magic: UInt64 = 0xdb47_7524_8b80_fb57
}
