import CWarmstartFloor
import Foundation
import WarmstartClient

/// One process that `make bench-python` measures beside Python processes: it connects, and takes a
/// view of each tensor of a checkpoint.
///
/// It follows `Tests/Benchmarks/python/worker.py`: it prints `ready`, starts when its standard
/// input ends, prints one line of JSON, and stays until it is killed.
struct Worker {
  private let socket: String
  private let prefix: String
  private let variables: [Variable]

  /// - Parameters:
  ///   - arguments: the daemon's socket, the checkpoint's prefix, and a JSON file with the name,
  ///     the shape and the offset of each tensor.
  init(_ arguments: [String]) throws {
    guard arguments.count == 3 else { fatalError("usage: --worker SOCKET PREFIX TABLE") }
    socket = arguments[0]
    prefix = arguments[1]
    let table = try JSONDecoder().decode(
      [Row].self, from: Data(contentsOf: URL(filePath: arguments[2])))
    variables = table.map { Variable(Name($0.name), dtype: .float32, shape: Shape($0.shape)) }
  }

  private struct Row: Decodable {
    let name: String
    let shape: [Int]

    init(from decoder: any Decoder) throws {
      var columns = try decoder.unkeyedContainer()
      name = try columns.decode(String.self)
      shape = try columns.decode([Int].self)
    }
  }

  func run() throws {
    say("ready")
    while readLine() != nil {}
    let cpuBefore = cpuSeconds()
    let started = floor_now()
    let client = Client(socket: socket)
    let resolved = try client.resolve(prefix, assigning: ["/": "/"], to: variables)
    let asked = floor_now()
    var count = 0
    for tensor in resolved.tensors { count += try tensor.elements(as: Float.self).count }
    precondition(count > 0)
    let viewed = floor_now()
    let cpu = cpuSeconds() - cpuBefore
    let digest = resolved.tensors.reduce(0) { $0 + pageSum($1) }
    let touched = floor_now()
    say(
      """
      {"ended": \(seconds(touched)), "seconds": \(seconds(viewed - started)), "cpu": \(cpu), \
      "imports": 0, "steps": {"ask": \(seconds(asked - started)), \
      "arrays": \(seconds(viewed - asked))}, "touch": \(seconds(touched - viewed)), \
      "digest": \(digest)}
      """)
    pause()
    withExtendedLifetime(resolved) {}
  }

  /// Prints a line at once, which `print` would keep for later.
  private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
  }

  /// The sum of the first byte of each page.
  private func pageSum(_ tensor: Tensor) -> Int {
    let bytes = Span<UInt8>(_bytes: tensor.bytes)
    var sum = 0
    for offset in stride(from: 0, to: bytes.count, by: 4096) { sum += Int(bytes[offset]) }
    return sum
  }

  private func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }

  private func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
