import Testing
import WarmstartTable

@Suite struct CursorTests {
  @Test func `numbers and runs are read in turn`() throws {
    let data: [UInt8] = [1, 2, 3, 4, 1, 0, 0, 0, 0, 0, 0, 0x80, 0xac, 0x02, 7, 8, 9]
    var cursor = Cursor(bytes(data))
    #expect(try cursor.fixed32() == 0x0403_0201)
    #expect(try cursor.fixed64() == 0x8000_0000_0000_0001)
    #expect(try cursor.varint32() == 300)
    #expect(array(try cursor.take(2)) == [7, 8])
    #expect(cursor.offset == 16)
    #expect(cursor.remainingCount == 1)
    #expect(cursor.isAtEnd == false)
    #expect(try cursor.varint64() == 9)
    #expect(cursor.isAtEnd == true)
    #expect(array(try cursor.take(0)) == [])
  }

  @Test(
    arguments: [
      ([0], 0), ([0x7f], 127), ([0x80, 0x01], 128), ([0x80, 0x00], 0),
      ([0xff, 0xff, 0xff, 0xff, 0x0f], 0xffff_ffff),
    ] as [([UInt8], UInt32)])
  func `a varint of 32 bits is read`(data: [UInt8], value: UInt32) throws {
    var narrow = Cursor(bytes(data))
    #expect(try narrow.varint32() == value)
    #expect(narrow.isAtEnd == true)
    var wide = Cursor(bytes(data))
    #expect(try wide.varint64() == UInt64(value))
  }

  @Test func `the greatest varint of 64 bits is read`() throws {
    let data = Array(repeating: UInt8(0xff), count: 9) + [0x01]
    var cursor = Cursor(bytes(data))
    #expect(try cursor.varint64() == .max)
  }

  @Test(
    arguments: [
      [0xff, 0xff, 0xff, 0xff, 0x1f], [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
    ] as [[UInt8]])
  func `a varint of more than 32 bits is refused where 32 are wanted`(data: [UInt8]) {
    #expect(throws: TableError.badVarint(offset: 0)) {
      var cursor = Cursor(bytes(data))
      _ = try cursor.varint32()
    }
  }

  @Test(
    arguments: [
      Array(repeating: 0xff, count: 9) + [0x02], Array(repeating: 0x80, count: 11),
      Array(repeating: 0x80, count: 10) + [0x00],
    ] as [[UInt8]])
  func `a varint of more than 64 bits is refused`(data: [UInt8]) {
    #expect(throws: TableError.badVarint(offset: 0)) {
      var cursor = Cursor(bytes(data))
      _ = try cursor.varint64()
    }
  }

  @Test func `reading past the end is refused and the cursor stays`() throws {
    let data: [UInt8] = [0x80, 0x80, 0x80]
    var cursor = Cursor(bytes(data))
    let error = TableError.endOfBytes(offset: 0)
    #expect(throws: error) {
      try refusal { (cursor) throws(TableError) in _ = try cursor.fixed32() }
    }
    #expect(throws: error) {
      try refusal { (cursor) throws(TableError) in _ = try cursor.fixed64() }
    }
    #expect(throws: error) {
      try refusal { (cursor) throws(TableError) in _ = try cursor.varint32() }
    }
    #expect(throws: error) {
      try refusal { (cursor) throws(TableError) in _ = try cursor.varint64() }
    }
    #expect(throws: error) { try refusal { (cursor) throws(TableError) in _ = try cursor.take(4) } }
    #expect(throws: error) {
      try refusal { (cursor) throws(TableError) in _ = try cursor.take(.max) }
    }
    #expect(array(try cursor.take(3)) == data)
  }

  /// Reads from three bytes; rethrows the error, and records an issue if the cursor moved.
  private func refusal(_ read: (inout Cursor) throws(TableError) -> Void) throws(TableError) {
    let data: [UInt8] = [0x80, 0x80, 0x80]
    var cursor = Cursor(bytes(data))
    defer { #expect(cursor.offset == 0) }
    try read(&cursor)
  }
}
