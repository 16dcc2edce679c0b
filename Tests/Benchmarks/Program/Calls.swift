import CWarmstartFloor
import Foundation
import WarmstartClient
import WarmstartTensorModel

extension Operation {
  /// One variable on a live connection, beside a ping-pong of 64 bytes.
  static var resolveOne: Operation {
    let floor = Floor(name: "ping-pong") { bench in
      let connection = floor_connect(bench.startFloor("ping-pong", 64, 64))
      return { floor_ask(connection, 64, 64) }
    }
    return Operation(name: "resolve-one", calls: 500, counted: 500, instructed: 200, floor: floor) {
      bench in
      let client = Client(socket: bench.socketPath)
      let checkpoint = try client.open("Golden/v2_plain_resource/model.ckpt-1000")
      let variables = [Variable("w", dtype: .float32, shape: [16, 8])]
      let map: AssignmentMap = ["bert/embeddings/kernel": "w"]
      _ = try checkpoint.resolve(assigning: map, to: variables)
      return { try timed { _ = try checkpoint.resolve(assigning: map, to: variables) } }
    }
  }

  /// A fresh connection that resolves 300 variables and reads an element of one of them.
  static var connect300: Operation {
    Operation(name: "connect-300", counted: 50, floor: connectFloor) { bench in
      let variables = try warmed(300, bench)
      return {
        try timed {
          let tensor = try resolvedFresh(variables, bench)[0]
          let values = try tensor.elements(as: Float.self)
          precondition(values[1] == 1)
        }
      }
    }
  }

  /// A fresh connection that resolves 301 variables and reads the first element of each tensor.
  static var look300: Operation {
    Operation(name: "look-300", counted: 50, instructed: 20, floor: connectFloor) { bench in
      let variables = try warmed(301, bench)
      return {
        try timed {
          var sum: Float = 0
          for tensor in try resolvedFresh(variables, bench) {
            sum += try tensor.elements(as: Float.self)[0]
          }
          precondition(sum > 0)
        }
      }
    }
  }

  /// A fresh connection in C that moves 22 KiB and a descriptor, and maps and touches that file.
  private static var connectFloor: Floor {
    Floor(name: "connect") { bench in
      let file = open("Golden/v2_many/many.data-00000-of-00001", O_RDONLY | O_CLOEXEC)
      let path = bench.startFloor("connect", 2 << 10, 20 << 10, file: file)
      close(file)
      return { floor_connect_and_map(path, 2 << 10, 20 << 10) }
    }
  }

  /// Has the daemon load a checkpoint, which it keeps for some time, and returns variables for its
  /// first tensors.
  private static func warmed(_ count: Int, _ bench: Bench) throws -> [Variable] {
    let checkpoint = try Client(socket: bench.socketPath).open("Golden/v2_many/many")
    let variables = try checkpoint.list().prefix(count).map {
      Variable($0.name, dtype: .float32, shape: [2])
    }
    _ = try checkpoint.resolve(assigning: ["/": "/"], to: variables)
    return variables
  }

  private static func resolvedFresh(_ variables: [Variable], _ bench: Bench) throws -> Tensors {
    let client = Client(socket: bench.socketPath)
    return try client.resolve("Golden/v2_many/many", assigning: ["/": "/"], to: variables).tensors
  }

  /// Opens a checkpoint of 10,000 tensors that the daemon does not know, on a live connection.
  static var openCold: Operation {
    Operation(name: "open-cold", calls: 10, blocks: 5, counted: 30) { bench in
      for file in ["many.index", "many.data-00000-of-00001"] {
        try FileManager.default.copyItem(
          atPath: "Golden/v2_many/\(file)", toPath: file)
      }
      let client = Client(socket: bench.socketPath)
      _ = try client.open("Golden/v2_many/many")
      var time = timespec(tv_sec: 1, tv_nsec: 0)
      return {
        // For the daemon, an index with another time belongs to another checkpoint.
        time.tv_sec += 1
        precondition(
          [time, time].withUnsafeBufferPointer {
            utimensat(AT_FDCWD, "many.index", $0.baseAddress, 0)
          } == 0)
        return try timed { _ = try client.open("many") }
      }
    }
  }

  /// Lists the 10,000 tensors of a warm checkpoint on a live connection.
  static var list: Operation {
    let floor = Floor(name: "650 KB") { bench in
      let connection = floor_connect(bench.startFloor("list", 64, 650_000))
      return { floor_ask(connection, 64, 650_000) }
    }
    return Operation(name: "list", calls: 20, counted: 50, instructed: 3, floor: floor) { bench in
      let client = Client(socket: bench.socketPath)
      let checkpoint = try client.open("Golden/v2_many/many")
      return {
        try timed {
          let tensors = try checkpoint.list()
          precondition(tensors.count == 10_000)
        }
      }
    }
  }
}
