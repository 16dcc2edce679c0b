import WarmstartTable

/// A key and its value, as tests compare them.
struct Entry: Hashable {
  var key: [UInt8]
  var value: [UInt8]

  init(_ key: [UInt8], _ value: [UInt8]) {
    self.key = key
    self.value = value
  }

  init(_ key: String, _ value: String = "") {
    self.init(Array(key.utf8), Array(value.utf8))
  }
}

/// All entries of a file, or the error that a walk ends in.
func entries(of file: [UInt8]) throws(TableError) -> [Entry] {
  var entries: [Entry] = []
  var table = try TableReader(bytes(file))
  while try table.next() {
    entries.append(Entry(array(table.key), array(table.value)))
  }
  return entries
}

/// The error that a walk of a file ends in, if it does.
func failure(of file: [UInt8]) -> TableError? {
  do throws(TableError) {
    _ = try entries(of: file)
    return nil
  } catch {
    return error
  }
}

/// The bytes of an array as a span.
@_lifetime(borrow array)
func bytes(_ array: borrowing [UInt8]) -> RawSpan {
  RawSpan(_elements: array.span)
}

/// A copy of a span's bytes.
func array(_ bytes: RawSpan) -> [UInt8] {
  let span = Span<UInt8>(_bytes: bytes)
  return span.indices.map { span[$0] }
}
