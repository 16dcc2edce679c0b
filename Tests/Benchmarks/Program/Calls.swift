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
    return Operation(name: "resolve-one", calls: 500, counted: 500, floor: floor) { bench in
      let client = Client(socket: bench.socketPath)
      let checkpoint = try client.open("Golden/v2_plain_resource/model.ckpt-1000")
      let variables = [Variable("w", dtype: .float32, shape: [16, 8])]
      let map: AssignmentMap = ["bert/embeddings/kernel": "w"]
      _ = try checkpoint.resolve(assigning: map, to: variables)
      return { try timed { _ = try checkpoint.resolve(assigning: map, to: variables) } }
    }
  }

  /// A fresh connection that resolves 300 variables and touches one, beside the same bytes in C.
  static var connect300: Operation {
    let floor = Floor(name: "connect") { bench in
      let file = open("Golden/v2_many/many.data-00000-of-00001", O_RDONLY | O_CLOEXEC)
      let path = bench.startFloor("connect", 2 << 10, 20 << 10, file: file)
      close(file)
      return { floor_connect_and_map(path, 2 << 10, 20 << 10) }
    }
    return Operation(name: "connect-300", counted: 50, floor: floor) { bench in
      let warm = Client(socket: bench.socketPath)
      let checkpoint = try warm.open("Golden/v2_many/many")
      let names = try checkpoint.list().prefix(300).map(\.name)
      let variables = names.map { Variable($0, dtype: .float32, shape: [2]) }
      _ = try checkpoint.resolve(assigning: ["/": "/"], to: variables)
      return {
        try timed {
          let client = Client(socket: bench.socketPath)
          let resolved = try client.resolve(
            "Golden/v2_many/many", assigning: ["/": "/"], to: variables)
          let tensor = resolved.tensors[0]
          let values = try tensor.elements(as: Float.self)
          precondition(values[1] == 1)
        }
      }
    }
  }

  /// A checkpoint of 10,000 tensors that nobody has open, on a live connection.
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
        // Other times make other checkpoints of the same bytes.
        time.tv_sec += 1
        precondition(
          [time, time].withUnsafeBufferPointer {
            utimensat(AT_FDCWD, "many.index", $0.baseAddress, 0)
          } == 0)
        return try timed { _ = try client.open("many") }
      }
    }
  }

  /// The 10,000 tensors of a warm checkpoint on a live connection, beside as many bytes.
  static var list: Operation {
    let floor = Floor(name: "650 KB") { bench in
      let connection = floor_connect(bench.startFloor("list", 64, 650_000))
      return { floor_ask(connection, 64, 650_000) }
    }
    return Operation(name: "list", calls: 20, counted: 50, floor: floor) { bench in
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
