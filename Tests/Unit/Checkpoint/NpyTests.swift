import Testing
import WarmstartTensorModel
import WarmstartTestSupport

/// NumPy files: which arrays are found, and what is refused.
@Suite struct NpyTests {
  private let refused = RefusedFile(as: "array.npy")

  /// A file with a header's text and elements.
  private func file(
    _ text: String, _ elements: [UInt8] = [1, 2, 3, 4], version: [UInt8] = [1, 0],
    length: Int? = nil
  ) -> [UInt8] {
    let byteCount = version[0] == 1 ? 2 : 4
    return [0x93] + Array("NUMPY".utf8) + version + number(length ?? text.utf8.count, byteCount)
      + Array(text.utf8) + elements
  }

  private func header(_ descr: String = "'<u2'", _ shape: String = "(2,)") -> String {
    "{'descr': \(descr), 'fortran_order': False, 'shape': \(shape), }\n"
  }

  @Test(arguments: try GoldenFile.all(in: "NumPy"))
  private func `a file that NumPy wrote has the arrays that NumPy reads`(
    file: GoldenFile
  ) throws {
    try file.check()
  }

  @Test(arguments: [
    "{\"shape\":(2,),\"fortran_order\":True,\"descr\":\"<u2\"}",
    "{'descr' : '<u2' , 'shape': ( 2 , ) , 'fortran_order' : False } \n \n",
    "{'descr': '<u2', 'fortran_order': False, 'shape': (2L,), }",
  ])
  func `a header is read as Python reads it`(text: String) throws {
    #expect(try FoundFile(file(text)).bytes("arr_0") == [1, 2, 3, 4])
  }

  @Test(arguments: [
    ("", "end of the .npy header, expected '{'"),
    ("{", "end of the .npy header, expected a string"),
    ("{}", "without descr, fortran_order, shape"),
    ("{'descr': '<u2'}", "without fortran_order, shape"),
    ("{'descr': '<u2', 'descr': '<u2'}", "the key descr"),
    ("{'more': 1}", "the key more"), ("{'descr': 5}", "expected a string"),
    ("{'descr': '<\\x752'}", "without escapes"), ("{'descr': '<u2", "without escapes"),
    ("{'fortran_order': 1}", "expected True or False"),
    ("{'shape': (2)}", "expected ','"), ("{'shape': [2]}", "expected '('"),
    ("{'shape': (-2,)}", "expected an integer"), ("{'shape': (,)}", "expected an integer"),
    ("{'shape': (9223372036854775808,)}", "expected an integer"),
    ("{'shape': (2,)} x", "expected its end"), ("{'shape': (2,)", "expected '}'"),
  ])
  func `a header that is not a dictionary of the three keys is refused`(
    text: String, part: String
  ) throws {
    try refused.check(file(text), .corrupt, part)
  }

  @Test func `more than 64 axes are refused`() throws {
    let shape = "(" + String(repeating: "1,", count: 65) + ")"
    try refused.check(file(header("'<u2'", shape)), .corrupt, "at most 64 axes")
  }

  @Test(arguments: [
    ("(3,)", "has 4 bytes, expected 6"), ("(9223372036854775807,)", "less than 2^63 bytes"),
    ("(4294967296, 4294967296)", "less than 2^63 bytes"),
  ])
  func `an array that is longer than its file is refused`(shape: String, part: String) throws {
    try refused.check(file(header("'<u2'", shape)), .corrupt, part, tensor: "arr_0")
  }

  @Test func `lengths and versions of headers are checked`() throws {
    try refused.check(file(header(), length: 0xffff), .corrupt, "header of 65535 bytes, expected")
    try refused.check(
      file(header(), version: [2, 0], length: 0xffff_ffff), .corrupt, "header of 4294967295 bytes")
    try refused.check(
      file(header(), version: [4, 0]), .unsupported, "version 4.0", tensor: "arr_0")
    let long = [UInt8](repeating: 0x20, count: 1 << 17)
    try refused.check(
      file(String(decoding: long, as: UTF8.self), version: [2, 0]), .unsupported,
      "an .npy header of 131072 bytes", tensor: "arr_0")
    try refused.check([0x93] + Array("NUMPY".utf8), .corrupt, "expected a header of 12")
  }

  @Test(arguments: [
    ("'|O'", "Python objects"), ("'<U3'", "strings"), ("'|S3'", "strings"), ("'<M8[s]'", "times"),
    ("'|V2'", "without a type"), ("'<f16'", "expected numbers"), ("'<u3'", "expected numbers"),
    ("''", "expected numbers"), ("[('a', '<i4')]", "structured"),
  ])
  func `an array of other things than numbers is refused`(descr: String, part: String) throws {
    try refused.check(file(header(descr)), .unsupported, part, tensor: "arr_0")
  }

  @Test func `no truncation and no change of a byte crashes the reader`() throws {
    let sound = file(header())
    for count in 0..<sound.count { _ = try? FoundFile(Array(sound[..<count])) }
    for index in sound.indices {
      for byte in [0, 0x20, 0x27, 0x28, 0x39, 0x7d, 0xff] as [UInt8] {
        var bytes = sound
        bytes[index] = byte
        _ = try? FoundFile(bytes)
      }
    }
  }
}
