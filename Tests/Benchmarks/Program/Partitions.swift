import Foundation
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

extension Scale {
  /// Resolves 100,000 partitions along two axes beside 100,000 whole variables of as many bytes.
  ///
  /// The bytes of such a partition are not contiguous in the file, so the daemon copies them into
  /// an arena when they are first asked for, unless the client accepts strides. Each kind of
  /// request is asked once before it is measured.
  func partitions100k() throws {
    let whole = try LargeCheckpoints.many(Scale.count, to: folder("whole"))
    let variables = (0..<Scale.count).map {
      Variable(
        Name(LargeCheckpoints.name($0)), dtype: .float32, shape: Shape(LargeCheckpoints.shape))
    }
    let cut = try LargeCheckpoints.tables(to: folder("cut"))
    let partitions = LargeCheckpoints.partitions(Scale.count).map {
      Variable(
        Name($0.name), dtype: .float32, shape: Shape(LargeCheckpoints.partitionShape),
        partition: Partition(
          of: Name($0.table), fullShape: Shape(LargeCheckpoints.tableShape), offset: $0.offset))
    }
    let client = Client(socket: daemon.socketPath)
    let (wholeCheckpoint, cutCheckpoint) = (
      try client.open(whole.prefix), try client.open(cut.prefix)
    )
    var strided = Resolved.Options()
    strided.strides = true
    let asked:
      [(
        name: String, checkpoint: WarmstartClient.Checkpoint, [Variable], options: Resolved.Options
      )] = [
        ("whole", wholeCheckpoint, variables, .init()),
        ("arenas", cutCheckpoint, partitions, .init()),
        ("strides", cutCheckpoint, partitions, strided),
      ]
    var best = asked.map { _ in (resolve: Int64.max, look: Int64.max) }
    for round in 0..<16 {
      for (kind, (_, checkpoint, variables, options)) in asked.enumerated() {
        var resolved: Resolved?
        let resolve = try timed {
          resolved = try checkpoint.resolve(assigning: ["/": "/"], to: variables, options: options)
        }
        let look = try timed { if let resolved { try lookAtEach(resolved) } }
        guard round > 0 else { continue }
        best[kind] = (min(best[kind].resolve, resolve), min(best[kind].look, look))
      }
    }
    let daemonsPart = [
      try byteCounts(whole, variables).best, try byteCounts(cut, partitions).best,
    ]
    for (kind, (name, _, _, _)) in asked.enumerated() {
      var columns: KeyValuePairs<String, String> {
        [
          "resolve": milliseconds(best[kind].resolve),
          "ratio": ratio(best[kind].resolve, best[0].resolve),
          "look at each": milliseconds(best[kind].look),
          "ratio of looks": ratio(best[kind].look, best[0].look),
        ]
      }
      line("100k \(name)", columns)
    }
    line(
      "daemon alone",
      [
        "whole": milliseconds(daemonsPart[0]), "arenas": milliseconds(daemonsPart[1]),
        "ratio": ratio(daemonsPart[1], daemonsPart[0]),
      ])
  }

  private func folder(_ name: String) throws -> String {
    let path = "\(directory)/\(name)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  /// Reads a tensor's first element, or its position in the region if the tensor has strides.
  private func lookAtEach(_ resolved: Resolved) throws {
    precondition(resolved.tensors.count == Scale.count)
    var sum = 0.0
    for tensor in resolved.tensors {
      if tensor.strides.isEmpty {
        sum += Double(try tensor.elements(as: Float.self)[0])
      } else {
        sum += Double(tensor.strides[0])
      }
    }
    precondition(sum > 0)
  }
}
