import Foundation
import Testing
import WarmstartClient
import WarmstartDigest
import WarmstartTensorModel
import WarmstartTestSupport

/// Every tensor and slice that TensorFlow wrote and reads, through a real daemon and the real
/// client.
@Suite struct GoldenTests {
  private static let checkpoints: [String] = {
    let golden = try? Golden.load()
    return (golden?.checkpoints ?? [:]).keys.sorted()
  }()

  private let daemon: RunningDaemon

  init() throws {
    daemon = try RunningDaemon()
  }

  @Test func `the corpus is complete`() throws {
    let golden = try Golden.load()
    #expect(Self.checkpoints.count == 23)
    #expect(golden.checkpoints.values.reduce(0) { $0 + $1.tensors.count } == 10_278)
  }

  @Test(arguments: checkpoints)
  func `lists what TensorFlow lists`(_ id: String) throws {
    let (golden, checkpoint) = try open(id)
    #expect(checkpoint.format.rawValue == golden.format)
    let listed = try checkpoint.list()
    #expect(listed.count == golden.tensors.count)
    #expect(listed.map(\.name) == golden.tensors.keys.map { Name($0) }.sorted())
    // One expectation for all: ten thousand of them take longer than what they expect.
    let other = listed.filter { tensor in
      let expected = golden.tensors[String(decoding: tensor.name.bytes, as: UTF8.self)]
      return tensor.dtype.name != expected?.dtype || Array(tensor.shape.lengths) != expected?.shape
    }
    #expect(other.isEmpty)
  }

  @Test(arguments: checkpoints, [false, true])
  func `every tensor has TensorFlow's bytes`(_ id: String, sealed: Bool) throws {
    let (golden, checkpoint) = try open(id)
    let readable = golden.tensors.filter { $0.value.sha256 != nil || $0.value.base64 != nil }
    var variables: [Variable] = []
    var map = AssignmentMap([])
    for (name, tensor) in readable.sorted(by: { Name($0.key) < Name($1.key) }) {
      let dtype = try #require(DataType(name: tensor.dtype))
      variables.append(
        Variable(Name(name), dtype: dtype, shape: Shape(tensor.shape), isInStore: false))
      map.pairs.append(AssignmentMap.Pair(Name(name), .variable(Name(name))))
    }
    var options = Resolved.Options()
    options.sealed = sealed
    options.alignment = sealed ? 64 : 0
    // Some checkpoints have no readable tensor.
    options.lenient = true
    let resolved = try checkpoint.resolve(assigning: map, to: variables, options: options)
    #expect(resolved.tensors.count == readable.count)
    let other = resolved.tensors.filter { tensor in
      let expected = golden.tensors[String(decoding: tensor.tensor.bytes, as: UTF8.self)]
      return !Self.isSame(tensor, sha256: expected?.sha256, base64: expected?.base64)
    }
    #expect(other.map(\.tensor) == [])
    #expect(resolved.tensors.allSatisfy { $0.offset % max(1, options.alignment) == 0 })
    #expect(!sealed || resolved.tensors.allSatisfy { $0.region.kind == .arena })
  }

  @Test(arguments: checkpoints)
  func `every slice has TensorFlow's bytes, or its error`(_ id: String) throws {
    let (golden, checkpoint) = try open(id)
    for (name, reads) in golden.slices ?? [:] {
      let stored = try #require(golden.tensors[name])
      let dtype = try #require(DataType(name: stored.dtype))
      for read in reads {
        let variable = Self.variable(name, dtype, stored.shape, read.spec)
        let what = "\(id) \(name) '\(read.spec)'"
        let map = AssignmentMap([AssignmentMap.Pair(Name(name), variable.target)])
        let answer = Result { () throws(WarmstartError) in
          try checkpoint.resolve(assigning: map, to: [variable.declared])
        }
        switch answer {
        case .success(let resolved):
          let tensor = try #require(resolved.tensors.first)
          if read.error != nil {
            // TensorFlow copies slices of some dtypes only, Warmstart of all.
            #expect(Self.copiedOnlyByUs.contains(stored.dtype), "\(what) should fail")
          } else {
            #expect(Array(tensor.shape.lengths) == read.shape, "\(what)")
            #expect(Self.isSame(tensor, sha256: read.sha256, base64: read.base64), "\(what)")
          }
        case .failure(let error):
          let expected = try #require(read.error, "\(what): \(error)")
          #expect(Self.classes(error).contains(expected), "\(what): \(error)")
        }
      }
    }
  }

  @Test func `ten clients that open a V1 checkpoint have it decoded once`() throws {
    let clients = (0..<10).map { _ in Client(socket: daemon.socketPath) }
    var resolved: [Resolved] = []
    for client in clients {
      let variables = [
        Variable("emb", dtype: .float32, shape: [10, 6]),
        Variable("w", dtype: .float32, shape: [2]),
      ]
      resolved.append(
        try client.resolve(
          Golden.path("v1_partitioned/model"), assigning: ["/": "/"], to: variables))
    }
    let counters = try clients[0].status().counters.reduce(into: [:]) { $0[$1.name] = $1.value }
    #expect(counters["indexes_parsed"] == 1)
    #expect(counters["arenas_made"] == 1)
    #expect(counters["pieces_made"] == 2)
    #expect(Set(resolved.map { $0.tensors[0].region.id }).count == 1)
  }

  // MARK: Helpers

  private static let copiedOnlyByUs: Set = [
    "float16", "uint16", "uint32", "uint64", "qint16", "quint16", "string", "float8_e5m2",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "int2", "uint2",
    "float4_e2m1fn",
  ]

  private func open(_ id: String) throws -> (Golden.Checkpoint, Checkpoint) {
    let golden = try #require(try Golden.load().checkpoints[id])
    let client = Client(socket: daemon.socketPath, label: "golden")
    return (golden, try client.open(Golden.path(golden.path)))
  }

  /// The classes that TensorFlow raises for a reason; design's table.
  private static func classes(_ error: WarmstartError) -> [String] {
    switch error.reason {
    // TensorFlow calls a slice beyond its shape INTERNAL; Warmstart calls it an invalid request.
    case .invalidRequest: ["InternalError", "InvalidArgumentError"]
    case .shapeMismatch, .slicesIncomplete: ["InvalidArgumentError", "InternalError"]
    case .slicesOverlap: ["InternalError"]
    default: []
    }
  }

  /// The variable that reads the same as a `shape_and_slice`: a partition, unless it is empty.
  private static func variable(
    _ name: String, _ dtype: DataType, _ shape: [Int], _ spec: String
  ) -> (declared: Variable, target: AssignmentMap.Target) {
    guard !spec.isEmpty else {
      return (Variable("v", dtype: dtype, shape: Shape(shape), isInStore: false), .variable("v"))
    }
    var words = spec.split(separator: " ").map(String.init)
    let extents = words.removeLast().split(separator: ":")
    let full = words.compactMap { Int($0) }
    var offset: [Int] = []
    var lengths: [Int] = []
    for (axis, extent) in extents.enumerated() {
      let numbers = extent.split(separator: ",").compactMap { Int($0) }
      offset.append(numbers.first ?? 0)
      lengths.append(numbers.last ?? full[axis])
    }
    let partition = Partition(of: Name(name), fullShape: Shape(full), offset: offset)
    return (
      Variable("v/part_0", dtype: dtype, shape: Shape(lengths), partition: partition),
      .variables(["v/part_0"])
    )
  }

  private static func isSame(
    _ tensor: Tensor, sha256 digest: String?, base64: [String]?
  ) -> Bool {
    let bytes = copy(tensor.bytes)
    if let digest { return sha256(bytes) == digest }
    let expected = (base64 ?? []).map { [UInt8](Data(base64Encoded: $0) ?? Data()) }
    return base64 != nil && strings(bytes, count: expected.count) == expected
  }

  private static func copy(_ span: RawSpan) -> [UInt8] {
    let bytes = Span<UInt8>(_bytes: span)
    return bytes.indices.map { bytes[$0] }
  }

  /// Decodes 64-bit offsets and bytes.
  private static func strings(_ bytes: [UInt8], count: Int) -> [[UInt8]] {
    func offset(_ index: Int) -> Int {
      (0..<8).reduce(0) { $0 | Int(bytes[index * 8 + $1]) << (8 * $1) } + (count + 1) * 8
    }
    return (0..<count).map { Array(bytes[offset($0)..<offset($0 + 1)]) }
  }
}
