import Testing
import WarmstartCheckpoint
import WarmstartTensorModel
import WarmstartTestSupport

/// PyTorch files: which tensors are found, and what is refused.
@Suite struct TorchTests {
  private let refused = RefusedFile(as: "model.pt")

  @Test(arguments: try GoldenFile.all(in: "Torch"))
  private func `a file that PyTorch wrote has the tensors that PyTorch reads`(
    file: GoldenFile
  ) throws {
    try file.check()
  }

  @Test func `tensors in nested containers are named by keys and places joined by dots`() throws {
    let pickle = PickleWriter().code("}").text("a").code("](")
      .tensor([1], [1], count: 4).code("}").integer(-7)
      .tensor([1], [1], offset: 1, count: 4).code("ses")
    #expect(try FoundFile(pickle.archive()).names == ["a.0", "a.1.-7"])
  }

  @Test func `two names of one tensor have the same place in the file`() throws {
    let pickle = PickleWriter().code("}(").text("a").tensor([4], [1], count: 4).put(9)
      .text("b").get(9).code("u")
    let file = try FoundFile(pickle.archive())
    #expect(file.names == ["a", "b"])
    #expect(try file.bytes("a") == PickleWriter.numbers(4))
    #expect(try file.bytes("b") == PickleWriter.numbers(4))
  }

  @Test(arguments: [
    ("os", "system"), ("builtins", "eval"), ("torch", "load"), ("torch._utils", "_rebuild"),
    ("torch.nn.modules.linear", "Linear"), ("torch", "NoStorage"), ("", ""), ("π\u{7}", "x"),
  ])
  func `a class or function outside the list is refused by its name`(
    module: String, name: String
  ) throws {
    let pickle = PickleWriter().global(module, name).text("touch /tmp/x").adding([0x85]).code("R")
    try refused.check(
      pickle.archive(), .unsupported, "has a pickle with \((module + "." + name).printable),")
  }

  @Test func `a name that is put together from strings is refused too`() throws {
    let pickle = PickleWriter().text("os").text("system").adding([0x93])
    try refused.check(pickle.archive(), .unsupported, "has a pickle with os.system,")
  }

  @Test(arguments: [
    ("an unknown instruction", PickleWriter().adding([0xff]), "instruction 0xff"),
    ("an instruction of protocol 0", PickleWriter().code("I1\n"), "instruction 0x49"),
    ("a pop of nothing", PickleWriter().code("0"), "takes a value from an empty stack"),
    ("a tuple of nothing", PickleWriter().adding([0x87]), "takes 3 values"),
    ("a stack without one", PickleWriter().code("}t"), "a stack without one"),
    ("a value below a mark", PickleWriter().code("](a"), "takes 2 values"),
    ("an unset memo place", PickleWriter().get(3), "memo place 3"),
    ("a place that was skipped", PickleWriter().code("}").put(6).get(3), "memo place 3"),
    (
      "a memo place that no writer reaches",
      PickleWriter().code("}r").adding([0xff, 0xff, 0xff, 0x7f]), "memo place 2147483647"
    ),
    (
      "a key without a value", PickleWriter().code("}(").text("a").code("u"),
      "a key without a value"
    ),
    ("an item of a dictionary", PickleWriter().code("}}a"), "expected a list"),
    (
      "a string that is too long", PickleWriter().code("X").adding([9, 0, 0, 0]), "left, expected 9"
    ),
    (
      "a length of 2^63", PickleWriter().adding([0x8d] + number(.min, 8)),
      "expected 9223372036854775808 more"
    ),
    ("a call of a string", PickleWriter().text("a").code(")R"), "a call of a string"),
    ("attributes of a tuple", PickleWriter().code(")}b"), "attributes of a tuple"),
    (
      "a persistent id of text", PickleWriter().text("a").code("Q"),
      "has a string as a persistent id"
    ),
    (
      "a storage without an entry", PickleWriter().storage(key: "1", count: 1),
      "without the zip entry data/1"
    ),
    ("a storage of another length", PickleWriter().storage(count: 5), "expected 20"),
    ("a storage of 2^63 elements", PickleWriter().storage(count: .max), "expected fewer"),
    ("a storage of -1 elements", PickleWriter().storage(count: -1), "a persistent id"),
    (
      "a storage of two types", PickleWriter().storage(count: 4).storage("IntStorage", count: 4),
      "4 elements of int32"
    ),
    (
      "a tensor without a storage",
      PickleWriter().global("torch._utils", "_rebuild_tensor_v2").tuple([1, 2, 3, 4, 5, 6])
        .code("R"), "_rebuild_tensor_v2 takes"
    ),
    (
      "a dictionary of many arguments",
      PickleWriter().global("collections", "OrderedDict").tuple([Int](repeating: 1, count: 3))
        .code("R"), "is made from 3 arguments"
    ),
    (
      "a call with many arguments",
      PickleWriter().global("collections", "OrderedDict").tuple([Int](repeating: 1, count: 65))
        .code("R"), "with 65 arguments, expected at most 64"
    ),
    (
      "a long key of a storage",
      PickleWriter().storage(key: String(repeating: "1", count: 257), count: 4),
      "with 257 bytes, expected at most 256"
    ),
    (
      "a parameter of nothing",
      PickleWriter().global("torch._utils", "_rebuild_parameter").code(")R"), "from nothing"
    ),
    ("bytes after the end", PickleWriter().code("}.}"), "2 bytes after the pickle's end"),
  ])
  func `a damaged pickle is refused at an offset`(
    fault: String, pickle: PickleWriter, part: String
  ) throws {
    try refused.check(pickle.archive(), .corrupt, part)
  }

  @Test(arguments: [
    ([5], [1], 0, "expected them within the 4 elements"),
    ([2], [4], 0, "expected them within the 4 elements"),
    ([1], [1], 4, "expected them within the 4 elements"),
    ([1], [1], .max, "expected them within the 4 elements"),
    ([2], [.max], .max, "expected them within the 4 elements"),
    ([2, 2], [.max, .max], 0, "expected them within the 4 elements"),
    ([.max, .max], [0, 0], 0, "expected less than 2^63 bytes"),
    ([.max], [0], 0, "expected less than 2^63 bytes"),
    ([-1], [1], 0, "integers from 0 on"),
    ([1], [-1], 0, "integers from 0 on"),
    ([1], [1], -1, "integers from 0 on"),
    ([1, 1], [1], 0, "as many of each"),
  ])
  func `a tensor outside its storage is refused by its name`(
    shape: [Int], strides: [Int], offset: Int, part: String
  ) throws {
    let pickle = PickleWriter().code("}").text("w")
      .tensor(shape, strides, offset: offset, count: 4).code("s")
    try refused.check(pickle.archive(), .corrupt, part, tensor: "w")
  }

  @Test(arguments: [
    ([2, 2], [0, 1]), ([2], [0]), ([2, 2], [1, 1]), ([3, 2], [1, 1]), ([2, 2, 2], [1, 1, 1]),
  ])
  func `a view whose elements share places is listed, and others are served`(
    shape: [Int], strides: [Int]
  ) throws {
    let pickle = PickleWriter().code("}(").text("w").tensor(shape, strides, count: 4)
      .text("v").tensor([4], [1], count: 4).code("u")
    let file = try FoundFile(pickle.archive())
    #expect(file.names == ["v", "w"])
    try file.expectListed("w", "float32", shape, "share a place")
    #expect(try file.bytes("v") == PickleWriter.numbers(4))
  }

  @Test func `a tensor of a dtype without handles is listed, and must lie in its storage`() throws {
    func pickle(_ length: Int) -> [UInt8] {
      PickleWriter().code("}(").text("q")
        .tensor([length], [1], count: 16, type: "QInt8Storage")
        .text("v").tensor([4], [1], count: 4, key: "1").code("u")
        .archive(["0": PickleWriter.numbers(4), "1": PickleWriter.numbers(4)])
    }
    let file = try FoundFile(pickle(16))
    try file.expectListed("q", "packed", [16], "the dtype torch.qint8, which has no handles")
    #expect(try file.bytes("v") == PickleWriter.numbers(4))
    try refused.check(pickle(17), .corrupt, "within the 16 elements", tensor: "q")
  }

  @Test func `a tensor without a shape that the pickle says is refused by its name`() throws {
    for function in ["_rebuild_nested_tensor", "_rebuild_sparse_tensor", "_rebuild_qtensor"] {
      let pickle = PickleWriter().code("}").text("w")
        .global("torch._utils", function).tuple([1, -1]).code("Rs")
      try refused.check(pickle.archive(), .unsupported, "tensor: save", tensor: "w")
    }
    let meta = PickleWriter().code("}").text("w")
      .global("torch._utils", "_rebuild_meta_tensor_no_storage").code("(")
      .global("torch", "float32").tuple([.max, .max]).code("tRs")
    try refused.check(meta.archive(), .unsupported, "on the device meta", tensor: "w")
  }

  @Test func `slices of a transposed tensor have its elements, with and without strides`() throws {
    let pickle = PickleWriter().code("}").text("w").tensor([3, 4], [1, 3], count: 12).code("s")
    let file = try FoundFile(pickle.archive(["0": PickleWriter.numbers(12)]))
    func numbers(_ numbers: [Int]) -> [UInt8] {
      numbers.flatMap { Array(PickleWriter.numbers($0 + 1).suffix(4)) }
    }
    let slice = TensorSlice(starts: [1, 0], counts: [2, 3])
    for options in [PlacementOptions(), PlacementOptions(strides: true)] {
      #expect(try file.bytes("w", nil, options) == numbers([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]))
      #expect(try file.bytes("w", slice, options) == numbers([1, 4, 7, 2, 5, 8]))
    }
  }

  @Test func `steps of axes with one element do not matter`() throws {
    let pickle = PickleWriter().code("}").text("w")
      .tensor([1, 4, 1], [0, 1, .max], count: 4).code("s")
    let file = try FoundFile(pickle.archive())
    #expect(try file.bytes("w") == PickleWriter.numbers(4))
  }

  @Test func `a step of any size on an axis of one element is no fault of a transposed view`()
    throws
  {
    let pickle = PickleWriter().code("}").text("w")
      .tensor([1, 2, 2], [1 << 62, 1, 2], count: 4).code("s")
    let numbers = (0..<4).map { Array(PickleWriter.numbers($0 + 1).suffix(4)) }
    let file = try FoundFile(pickle.archive())
    #expect(try file.bytes("w") == [0, 2, 1, 3].flatMap { numbers[$0] })
  }

  @Test func `a tensor of 65 axes is refused by its name`() throws {
    let ones = [Int](repeating: 1, count: 65)
    let pickle = PickleWriter().code("}").text("w").tensor(ones, ones, count: 4).code("s")
    try refused.check(pickle.archive(), .unsupported, "more than 64 axes", tensor: "w")
  }

  @Test func `a list that holds itself is refused`() throws {
    let pickle = PickleWriter().code("]").put(0).get(0).code("a")
    try refused.check(pickle.archive(), .unsupported, "hold themselves")
  }

  @Test func `lists that hold each other exponentially often are refused`() throws {
    var pickle = PickleWriter().code("]").put(0)
    for place in 1...60 {
      pickle = pickle.code("](")
      for _ in 0..<8 { pickle = pickle.get(UInt8(place - 1)) }
      pickle = pickle.code("e").put(UInt8(place))
    }
    try refused.check(pickle.archive(), .unsupported, "hold each other in more than")
  }

  @Test func `a long key that occurs again and again is refused`() throws {
    var pickle = PickleWriter().code("](").text(String(repeating: "k", count: 10_000)).put(0)
    for _ in 0..<1000 { pickle = pickle.code("}").get(0).code("]s") }
    try refused.check(pickle.code("e").archive(), .unsupported, "hold each other in more than")
  }

  @Test func `a key twice in a dictionary is refused`() throws {
    let pickle = PickleWriter().code("}(").text("w").integer(1).text("w")
      .tensor([1], [1], count: 4).code("u")
    try refused.check(pickle.archive(), .corrupt, "one key twice")
  }

  @Test func `a key that is not UTF-8 is refused`() throws {
    let pickle = PickleWriter().code("}X").adding([1, 0, 0, 0, 0xff])
      .tensor([1], [1], count: 4).code("s")
    try refused.check(pickle.archive(), .corrupt, "not valid UTF-8")
  }

  @Test func `a pickle with a changed byte is refused by its checksum`() throws {
    var bytes = try GoldenFile.bytes("Torch", "list.pt")
    let place = try #require(bytes.firstOffset(of: Array("_rebuild_tensor_v2".utf8)))
    bytes[place] ^= 1
    try refused.check(bytes, .checksumMismatch, "the checksum of its entry list/data.pkl is")
  }

  @Test func `no truncation and no change of a byte crashes the reader`() throws {
    // Without checksums, by which changes are found before anything is parsed.
    var sound = try GoldenFile.bytes("Torch", "list.pt")
    for (mark, offset) in [([0x50, 0x4b, 3, 4], 14), ([0x50, 0x4b, 1, 2], 16)] as [([UInt8], Int)] {
      for place in sound.indices.dropLast(30) where Array(sound[place..<place + 4]) == mark {
        sound.replaceSubrange(place + offset..<place + offset + 4, with: [0, 0, 0, 0])
      }
    }
    _ = try FoundFile(sound)
    for count in stride(from: 0, to: sound.count, by: 13) {
      _ = try? FoundFile(Array(sound[..<count]))
    }
    var random = SeededRandom(seed: 16)
    for _ in 0..<500 {
      var bytes = sound
      for _ in 0...random.below(3) {
        bytes[random.below(bytes.count)] = UInt8(random.below(256))
      }
      _ = try? FoundFile(bytes)
    }
  }
}
