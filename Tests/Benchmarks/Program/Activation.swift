import CWarmstartFloor
import WarmstartClient
import WarmstartTensorModel
import WarmstartTestSupport

extension Operation {
  /// The time from connecting to a socket without a daemon to the answer to Hello.
  static var activation: Operation {
    Operation(name: "activation", calls: 10, floor: activationFloor) { _ in
      {
        try activated("warmstartd") { path in
          hello.withUnsafeBufferPointer { floor_first_answer(path, $0.baseAddress, $0.count) }
        }
      }
    }
  }

  /// The same, but until the daemon has opened a checkpoint and resolved one variable.
  static var activationResolve: Operation {
    Operation(name: "activation-resolve", calls: 10, floor: activationFloor) { _ in
      {
        try activated("warmstartd") { path in
          try timed {
            let checkpoint = try Client(socket: path)
              .open("Golden/v2_plain_resource/model.ckpt-1000")
            _ = try checkpoint.resolve(
              assigning: ["bert/embeddings/kernel": "w"],
              to: [Variable("w", dtype: .float32, shape: [16, 8])])
          }
        }
      }
    }
  }

  /// A C program that takes the socket, reports that it is ready, accepts and answers.
  private static var activationFloor: Floor {
    Floor(name: "C daemon") { _ in
      {
        try activated("activated") { path in
          hello.withUnsafeBufferPointer { floor_first_answer(path, $0.baseAddress, $0.count) }
        }
      }
    }
  }

  /// Calls a program that the connection activates, and ends it afterwards.
  private static func activated(
    _ program: String, _ call: (String) throws -> Int64
  ) throws -> Int64 {
    func path(_ name: String) -> String { RunningDaemon.products.appending(path: name).path }
    let socket = "activated"
    let process = floor_activate(socket, path("activated"), path(program))
    precondition(process > 0)
    defer { floor_stop(process) }
    return try call(socket)
  }

  /// A frame with a Call of id 1: Hello of version 1.
  private static let hello: [CChar] =
    [0, 0, 0, 0, 37, 0x08, 1, 0x12, 29]
    + "/warmstart.v1.Warmstart/Hello".utf8.map { CChar($0) } + [0x1a, 2, 0x08, 1]
}
