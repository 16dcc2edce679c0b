import Testing
import WarmstartTensorModel

@testable import warmstartctl

@Suite struct OutputTests {
  @Test(
    arguments: [
      ("<f4", [], "()"), ("|V2", [3], "(3,)"), ("<c16", [3, 0, 2], "(3, 0, 2)"),
      ("|b1", Array(repeating: 7, count: 60), nil),
    ] as [(String, [Int], String?)])
  func `a header fills whole lines of 64 bytes`(dtype: String, shape: [Int], tuple: String?) {
    let header = Npy.header(dtype, shape)
    #expect(header.count % 64 == 0)
    #expect(header.starts(with: [0x93] + Array("NUMPY".utf8) + [1, 0]))
    #expect(Int(header[8]) + Int(header[9]) << 8 == header.count - 10)
    #expect(header.last == 0x0a)
    guard let tuple else { return }
    let text = String(decoding: header.dropFirst(10), as: UTF8.self)
    #expect(text.hasPrefix("{'descr': '\(dtype)', 'fortran_order': False, 'shape': \(tuple), }"))
  }

  @Test(
    arguments: [
      ("a/b_c-1", "03-a_b_c-1"), ("../../etc/passwd", "03-______etc_passwd"), ("", "03-"),
      ("a\u{0}\n\u{1b}[2J", "03-a____2J"), ("é", "03-__"),
    ])
  func `no tensor's name is a path`(name: String, stem: String) {
    #expect(Npy.stem(3, of: 12, Name(name)) == stem)
  }

  @Test(
    arguments: [
      ([2, 1], 24, 24), ([2, 1], 23, nil), ([0], 8, 8), ([0], 0, nil), ([], 16, 16),
      ([1 << 61], 64, nil), ([Int.max], 64, nil), ([1 << 40, 1 << 40], 64, nil), ([-1], 64, nil),
    ] as [([Int], Int, Int?)])
  func `strings without all their offsets are found whatever their shape`(
    lengths: [Int], byteCount: Int, expected: Int?
  ) {
    #expect(Npy.offsetsByteCount(of: Shape(lengths), in: byteCount) == expected)
  }

  @Test func `a long name is cut`() {
    let stem = Npy.stem(0, of: 1, Name(String(repeating: "x", count: 5000)))
    #expect(stem.utf8.count <= 200)
  }

  @Test func `a cell is escaped before it is measured`() {
    var table = Columns([.left, .left])
    table.add(["a\u{200b}", "x"])
    table.add(["b", "\u{1b}[2J"])
    #expect(table.text == "a\\u{200B}  x\nb          \\u{1B}[2J\n")
  }

  @Test(
    arguments: [
      (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
      (1 << 20, "1.0 MiB"), ((1 << 30) - 1, "1023.9 MiB"), (Int.max, "8191.9 PiB"),
    ])
  func `bytes are rounded down`(count: Int, text: String) {
    #expect(bytesText(count) == text)
  }

  @Test func `columns are as wide as their widest cell`() {
    var table = Columns([.left, .right, .left])
    table.add(["a", "10", "x"])
    table.add(["bbb", "9", ""])
    #expect(table.text == "a    10  x\nbbb   9\n")
  }
}
