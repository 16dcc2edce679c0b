import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTensorModel
import WarmstartTestSupport

@testable import WarmstartCheckpoint

/// Headers that the library safetensors 0.8 accepts and refuses, as it was observed to.
struct SafetensorsTests {
  /// A header's part for a tensor of two bytes.
  private static let two = #"{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#

  private func file(_ header: String, _ data: [UInt8]) -> [UInt8] {
    let header = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + data
  }

  private func open(_ files: [(FileRole, String, [UInt8])]) throws -> Checkpoint {
    let directory = try TemporaryDirectory()
    let opened = try files.map { role, name, bytes in
      let path = "\(directory.path)/\(name)"
      try BundleFile.write([(0, bytes)], byteCount: bytes.count, to: path)
      return (role, try File(opening: FilePath(path)))
    }
    return try Checkpoint.read(FileSet(opened, openedBy: 1000))
  }

  private func read(_ header: String, _ data: [UInt8] = []) throws -> Checkpoint {
    try open([(.whole, "model.safetensors", file(header, data))])
  }

  private func refusal(_ header: String, _ data: [UInt8] = []) -> Problem? {
    do {
      _ = try read(header, data)
      return nil
    } catch {
      return error as? Problem
    }
  }

  // MARK: Sound files

  @Test func `tensors lie where the header says, whatever its order`() throws {
    let header = #"{"b.w":\#(Self.two),"a":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#
    let checkpoint = try read(header, [1, 2, 3, 4, 5, 6])
    #expect(checkpoint.format == .safetensors)
    #expect(checkpoint.catalog.count == 2)
    let a = try #require(checkpoint.catalog.position(of: "a"))
    let b = try #require(checkpoint.catalog.position(of: "b.w"))
    #expect(checkpoint.catalog.dtype(a) == .float32 && checkpoint.catalog.shape(a) == [1])
    #expect(checkpoint.catalog.dtype(b) == .uint8 && checkpoint.catalog.shape(b) == [2])
    let data = 8 + header.utf8.count
    #expect(checkpoint.stored[b].offset == data && checkpoint.stored[b].byteCount == 2)
    #expect(checkpoint.stored[a].offset == data + 2 && checkpoint.stored[a].byteCount == 4)
    #expect(checkpoint.byteCount == 6)
  }

  @Test(
    arguments: [
      (#"{"a":%}"#, [1, 2]),
      (#"{"__metadata__":{"format":"pt"},"a":%}"#, [1, 2]),
      (#"{"__metadata__":null,"a":%}"#, [1, 2]),
      (#" {"a": % }  "#, [1, 2]),
      (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":[1.5e3,{"y":null}]}}"#, [1, 2]),
      (#"{"a":{"data_offsets":[0,2],"shape":[2],"dtype":"U8"}}"#, [1, 2]),
      (#"{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, [1]),
      (#"{"z":{"dtype":"U8","shape":[0,5],"data_offsets":[0,0]},"a":%}"#, [1, 2]),
      (#"{"a":%,"z":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}"#, [1, 2]),
      ("{}", []),
    ] as [(String, [UInt8])])
  func `what the library accepts is accepted`(header: String, data: [UInt8]) throws {
    let header = header.split(separator: "%", omittingEmptySubsequences: false)
      .joined(separator: Self.two)
    _ = try read(header, data)
  }

  @Test func `escapes in names are read`() throws {
    let checkpoint = try read(#"{"a\u00e9\ud83d\ude00\n\/":\#(Self.two)}"#, [1, 2])
    #expect(checkpoint.catalog.name(0) == "aé😀\n/")
  }

  @Test func `every element type has its own dtype and length`() throws {
    let types: [(String, DataType, Int)] = [
      ("BOOL", .bool, 1), ("U8", .uint8, 1), ("I8", .int8, 1), ("U16", .uint16, 2),
      ("I16", .int16, 2), ("F16", .float16, 2), ("BF16", .bfloat16, 2), ("U32", .uint32, 4),
      ("I32", .int32, 4), ("F32", .float32, 4), ("U64", .uint64, 8), ("I64", .int64, 8),
      ("F64", .float64, 8), ("C64", .complex64, 8), ("F8_E5M2", .float8E5M2, 1),
      ("F8_E4M3", .float8E4M3FN, 1), ("F8_E5M2FNUZ", .float8E5M2FNUZ, 1),
      ("F8_E4M3FNUZ", .float8E4M3FNUZ, 1), ("F8_E8M0", .float8E8M0FNU, 1),
    ]
    for (name, dtype, byteCount) in types {
      let checkpoint = try read(
        #"{"a":{"dtype":"\#(name)","shape":[3],"data_offsets":[0,\#(3 * byteCount)]}}"#,
        [UInt8](repeating: 7, count: 3 * byteCount))
      #expect(checkpoint.catalog.dtype(0) == dtype, "\(name)")
      #expect(checkpoint.catalog.shape(0) == [3])
    }
  }

  @Test func `two elements of four bits are one in memory`() throws {
    let checkpoint = try read(
      #"{"a":{"dtype":"F4","shape":[2,6],"data_offsets":[0,6]}}"#, [1, 2, 3, 4, 5, 6])
    #expect(checkpoint.catalog.dtype(0) == .float4E2M1FNx2)
    #expect(checkpoint.catalog.shape(0) == [2, 3])
  }

  @Test(arguments: [
    #"{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}"#,
    #"{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]}"#,
  ])
  func `elements without bytes of their own are listed, and not served`(tensor: String) throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/model.safetensors"
    let bytes = file(#"{"a":\#(tensor)}"#, [1, 2, 3])
    try BundleFile.write([(0, bytes)], byteCount: bytes.count, to: path)
    let files = try FileSet([(.whole, try File(opening: FilePath(path)))], openedBy: 1000)
    let checkpoint = try Checkpoint.read(files)
    #expect(checkpoint.catalog.dtype(0) == .packed)
    #expect {
      _ = try checkpoint.placement(of: 0, nil, PlacementOptions(), in: files)
    } throws: { error in
      (error as? Problem)?.reason == .unsupported
    }
  }

  // MARK: Damaged files

  @Test(
    arguments: [
      (#"{"a":%,"a":%}"#, [1, 2], "begins at 0 of the data, expected 2"),
      (#"{"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, [1, 2], "twice"),
      (#"{"__metadata__":{"a":1},"a":%}"#, [1, 2], "expected a string"),
      (#"{"__metadata__":{},"__metadata__":{},"a":%}"#, [1, 2], "\"__metadata__\" twice"),
      (#"{"a":%}x"#, [1, 2], "expected the end"),
      ("{}", [1], "has 1 bytes that no tensor has"),
      (#"{"a":%}"#, [1, 2, 3], "has 1 bytes that no tensor has"),
      (
        #"{"a":%,"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}"#, [1, 2, 3, 4, 5],
        "expected 2"
      ),
      (#"{"a":%,"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, [1, 2, 3], "expected 2"),
      (#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}}"#, [1, 2], "expected 3 for U8 [3]"),
      (#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,2]}}"#, [1, 2], "whole number"),
      (#"{"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}"#, [1, 2], "whole number"),
      (#"{"a":{"dtype":"U8","shape":[02],"data_offsets":[0,2]}}"#, [1, 2], "begins with 0"),
      (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}"#, [1, 2], "ascending"),
      (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,3]}}"#, [1, 2], "more than 2 offsets"),
      (
        #"{"a":{"dtype":"U8","shape":[1099511627776,1099511627776],"data_offsets":[0,2]}}"#,
        [1, 2],
        "less than 2^63"
      ),
      (
        #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,99999999999999999999]}}"#, [1, 2], "2^63"
      ),
      (#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#, [1, 2], "whole bytes"),
      (#"{"a":{"dtype":"u8","shape":[2],"data_offsets":[0,2]}}"#, [1, 2], "unknown dtype"),
      (#"{"a":{"dtype":"U8","data_offsets":[0,2]}}"#, [1, 2], "has no shape"),
      (#"{"a":["U8",[2],[0,2]]}"#, [1, 2], "expected '{'"),
      (#"{"a\ud83d":%}"#, [1, 2], "surrogate"),
      ("{\"a\nb\":%}", [1, 2], "control character"),
      (#"{"a":%"#, [1, 2], "expected"),
    ] as [(String, [UInt8], String)])
  func `what the library refuses is refused, and the error says why`(
    header: String, data: [UInt8], words: String
  ) throws {
    let header = header.split(separator: "%", omittingEmptySubsequences: false)
      .joined(separator: Self.two)
    let problem = try #require(refusal(header, data))
    #expect(problem.reason == .corrupt)
    #expect(problem.message.contains(words), "\(problem.message)")
    #expect(problem.message.contains("model.safetensors"), "\(problem.message)")
  }

  @Test func `two tensors of one name are refused`() throws {
    let zero = #"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#
    let problem = try #require(refusal(#"{"a":\#(zero),"a":\#(zero)}"#))
    #expect(problem.reason == .corrupt && problem.message.contains("twice"), "\(problem.message)")
  }

  @Test func `a file that ends early is reported as truncated`() throws {
    let problem = try #require(refusal(#"{"a":\#(Self.two)}"#, [1]))
    #expect(problem.reason == .truncated)
  }

  @Test func `a file that ends within its header is reported as truncated`() throws {
    let bytes = file(#"{"a":\#(Self.two)}"#, [1, 2])
    #expect {
      _ = try open([(.whole, "model.safetensors", Array(bytes[..<20]))])
    } throws: { error in
      let problem = error as? Problem
      return problem?.reason == .truncated
        && problem?.message.hasSuffix("ended after 20 bytes, expected \(bytes.count - 2)") == true
    }
  }

  @Test func `every truncation of a file is refused`() throws {
    let bytes = file(#"{"a":\#(Self.two),"__metadata__":{"k":"v"}}"#, [1, 2])
    for count in 0..<bytes.count {
      #expect(throws: Problem.self, "the first \(count) bytes") {
        try open([(.whole, "model.safetensors", Array(bytes[..<count]))])
      }
    }
  }

  @Test func `no changed byte makes the reader fail otherwise than with a problem`() throws {
    var random = SeededRandom(seed: 16)
    let bytes = file(
      #"{"a":\#(Self.two),"b":{"dtype":"I8","shape":[],"data_offsets":[2,3]}}"#, [1, 2, 3])
    for _ in 0..<500 {
      var changed = bytes
      for _ in 0..<(1 + random.below(3)) {
        changed[random.below(changed.count)] = UInt8(random.below(256))
      }
      do {
        _ = try open([(.whole, "model.safetensors", changed)])
      } catch {
        #expect(error is Problem)
      }
    }
  }

  @Test func `deep brackets in a header are refused`() throws {
    let deep = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
    let problem = try #require(
      refusal(#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":\#(deep)}}"#, [1, 2]))
    #expect(problem.reason == .corrupt && problem.message.contains("128"))
  }

  @Test func `a header of another size than the daemon grants is refused`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/model.safetensors"
    let bytes = file(#"{"a":\#(Self.two)}"#, [1, 2])
    try BundleFile.write([(0, bytes)], byteCount: bytes.count, to: path)
    let files = try FileSet([(.whole, try File(opening: FilePath(path)))], openedBy: 1000)
    var most = 0
    _ = try Checkpoint.read(files, reserving: { most = max(most, $0) })
    #expect(most > bytes.count)
    #expect {
      _ = try Checkpoint.read(
        files,
        reserving: { (byteCount) throws(Problem) in
          if byteCount >= most { throw Problem(.budget, "too much") }
        })
    } throws: { error in
      (error as? Problem)?.reason == .budget
    }
  }

  // MARK: Several files

  private static let map = #"{"metadata":{"total_size":4},"weight_map":{"a":"m-1","b":"m-2"}}"#

  private func sharded(
    _ map: String = map, first: String = "a", second: String = "b", without missing: Int? = nil
  ) throws -> Checkpoint {
    let files: [(FileRole, String, [UInt8])] = [
      (.index, "model.safetensors.index.json", Array(map.utf8)),
      (.shard(0, of: 2), "m-1", file(#"{"\#(first)":\#(Self.two)}"#, [1, 2])),
      (.shard(1, of: 2), "m-2", file(#"{"\#(second)":\#(Self.two)}"#, [3, 4])),
    ]
    return try open(files.enumerated().filter { $0.offset - 1 != missing }.map(\.element))
  }

  @Test func `a model in several files is one checkpoint`() throws {
    let checkpoint = try sharded()
    #expect(checkpoint.format == .safetensors && checkpoint.shardCount == 2)
    let b = try #require(checkpoint.catalog.position(of: "b"))
    #expect(checkpoint.stored[b].shard == 1)
  }

  @Test(arguments: [
    ("a", "c", "tensor b of index file model.safetensors.index.json is not in file m-2"),
    (
      "b", "a",
      "tensor a of index file model.safetensors.index.json is in file m-2, and not in m-1"
    ),
    ("a", "a", "is in data file m-1 and in data file m-2"),
  ])
  func `files that do not hold what the index says are refused`(
    first: String, second: String, words: String
  ) throws {
    #expect {
      _ = try sharded(first: first, second: second)
    } throws: { error in
      let problem = error as? Problem
      return problem?.reason == .corrupt && problem?.message.contains(words) == true
    }
  }

  @Test func `a tensor that the index does not list is refused`() throws {
    let map = #"{"weight_map":{"a":"m-1","x":"m-2"}}"#
    #expect(throws: Problem.self) { try sharded(map) }
  }

  @Test func `a file of the index that is written to meanwhile has changed, and is not damaged`()
    throws
  {
    let directory = try TemporaryDirectory()
    let bytes = [Array(Self.map.utf8), file(#"{"a":\#(Self.two)}"#, [1, 2])]
    let paths = ["model.safetensors.index.json", "m-1"].map { "\(directory.path)/\($0)" }
    for (path, bytes) in zip(paths, bytes) {
      try BundleFile.write([(0, bytes)], byteCount: bytes.count, to: path)
    }
    let roles: [FileRole] = [.index, .shard(0, of: 2)]
    let files = try FileSet(
      zip(roles, paths).map { ($0, try File(opening: FilePath($1))) }, openedBy: 1000)
    try BundleFile.truncate(paths[1], to: 20)
    let problem = try #require(throws: Problem.self) { try Checkpoint.read(files) }
    #expect(problem.reason == .checkpointChanged, "\(problem.message)")
    #expect(problem.message.contains("m-1"))
  }

  @Test func `a missing file of the index is named`() throws {
    #expect {
      _ = try sharded(without: 1)
    } throws: { error in
      let problem = error as? Problem
      return problem?.reason == .checkpointNotFound
        && problem?.message.contains("file m-2, which index file") == true
    }
  }

  @Test(arguments: [
    "{}", #"{"weight_map":[]}"#, #"{"weight_map":{"a":1}}"#, #"{"weight_map":{}}"#,
    #"{"weight_map":{"a":"m-1"}"#, #"{"weight_map":{"a":"m-1"},"weight_map":{"b":"m-2"}}"#,
  ])
  func `an index that is no map of names to files is refused`(map: String) throws {
    #expect {
      _ = try sharded(map)
    } throws: { error in
      [Reason.corrupt, .checkpointNotFound].contains((error as? Problem)?.reason)
    }
  }

  @Test func `several files without an index are one checkpoint`() throws {
    let checkpoint = try open([
      (.whole, "m-1", file(#"{"a":\#(Self.two)}"#, [1, 2])),
      (.whole, "m-2", file(#"{"b":\#(Self.two)}"#, [3, 4])),
    ])
    #expect(checkpoint.catalog.count == 2)
  }
}
