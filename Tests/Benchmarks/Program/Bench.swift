import CFloor
import Foundation
import TensorModel
import TestSupport
import WarmstartClient

/// The operations, a daemon to run them on, and the floors beside them.
final class Bench {
  private let daemon: RunningDaemon
  private var floors: [Int32] = []

  init() throws {
    daemon = try RunningDaemon()
  }

  /// Each operation by name, in the order in which they are run.
  var operations: [(String, () throws -> Void)] {
    [
      ("resolve-one", resolveOne), ("connect-300", connect300), ("memory", memory),
      ("hostile", hostile),
    ] + Scale.operations
  }

  func end() {
    for floor in floors { floor_stop(floor) }
    _ = daemon.stop()
  }

  private func report(_ name: String, _ samples: Samples, over floor: Samples, _ floorName: String)
  {
    func micro(_ value: Int64) -> String { String(format: "%9.1f", Double(value) / 1000) }
    print(
      name.padding(toLength: 16, withPad: " ", startingAt: 0),
      "median", micro(samples.median), "p99", micro(samples.p99), "best", micro(samples.best),
      "us |",
      floorName, micro(floor.median), micro(floor.p99), micro(floor.best), "us | ratio",
      String(format: "%.2f", Double(samples.best) / Double(floor.best)))
  }

  private func startFloor(_ name: String, _ request: Int, _ answer: Int, file: Int32) -> String {
    let path = daemon.directory.appending(path: name).path(percentEncoded: false)
    let process = floor_serve(path, request, answer, file)
    precondition(process > 0)
    floors.append(process)
    return path
  }

  /// One variable on a live connection, beside a ping-pong of 64 bytes.
  private func resolveOne() throws {
    let path = startFloor("pingpong", 64, 64, file: -1)
    let connection = floor_connect(path)
    let client = Client(socket: daemon.socketPath)
    let checkpoint = try client.open(Golden.path("v2_plain_resource/model.ckpt-1000"))
    let variables = [Variable("w", .float32, [16, 8])]
    let map: AssignmentMap = ["bert/embeddings/kernel": "w"]
    _ = try checkpoint.resolve(map, variables)
    let floor = Samples(blocks: 20, of: 500) { floor_ask(connection, 64, 64) }
    let samples = try Samples(blocks: 20, of: 500) {
      try timed { _ = try checkpoint.resolve(map, variables) }
    }
    floor_close(connection)
    report("resolve-one", samples, over: floor, "ping-pong")
  }

  /// A fresh connection that resolves 300 variables and touches one, beside the same bytes in C.
  private func connect300() throws {
    let file = open(Golden.path("v2_many/many.data-00000-of-00001"), O_RDONLY | O_CLOEXEC)
    let path = startFloor("connect", 2 << 10, 20 << 10, file: file)
    close(file)
    let warm = Client(socket: daemon.socketPath)
    let checkpoint = try warm.open(Golden.path("v2_many/many"))
    let names = try checkpoint.list().prefix(300).map(\.name)
    let variables = names.map { Variable($0, .float32, [2]) }
    _ = try checkpoint.resolve(["/": "/"], variables)
    let floor = Samples(blocks: 20, of: 100) { floor_connect_and_map(path, 2 << 10, 20 << 10) }
    let samples = try Samples(blocks: 20, of: 100) {
      try timed {
        let client = Client(socket: daemon.socketPath)
        let checkpoint = try client.open(Golden.path("v2_many/many"))
        let resolved = try checkpoint.resolve(["/": "/"], variables)
        let tensor = resolved.tensors[0]
        let values = try tensor.elements(as: Float.self)
        precondition(values[1] == 1)
      }
    }
    report("connect-300", samples, over: floor, "connect")
  }

  /// What the machine's memory gives: a copy and a checksum of 256 MiB.
  private func memory() {
    let bytes = 256 << 20
    for (name, operation) in [("memcpy", floor_copy), ("crc32c", floor_checksum)] {
      let samples = Samples(blocks: 3, of: 1) { operation(bytes) }
      let rate = Double(bytes) / Double(samples.best)
      print(
        name.padding(toLength: 16, withPad: " ", startingAt: 0), String(format: "%.1f GB/s", rate))
    }
  }
}
