import Foundation
import SystemPackage

/// A Python process with TensorFlow that opens a checkpoint for each line it reads.
final class TensorFlow {
  private static let program = """
    import sys, time
    import tensorflow as tf
    for _ in sys.stdin:
        start = time.perf_counter_ns()
        shapes = tf.train.load_checkpoint(sys.argv[1]).get_variable_to_shape_map()
        took = time.perf_counter_ns() - start
        assert len(shapes) >= 100000
        print(took, flush=True)
    """

  private struct Failure: Error {
    let description: String
  }

  private let process = Foundation.Process()
  private let questions = Pipe()
  private let answers = Pipe()

  init(python: String, prefix: String) throws {
    process.executableURL = URL(filePath: python)
    process.arguments = ["-c", TensorFlow.program, prefix]
    process.standardInput = questions
    process.standardOutput = answers
    process.standardError = FileHandle.nullDevice
    try process.run()
  }

  /// Opens the checkpoint once; returns nanoseconds.
  func open() throws -> Int64 {
    try questions.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
    var text = ""
    while !text.hasSuffix("\n") {
      let bytes = answers.fileHandleForReading.availableData
      guard !bytes.isEmpty else { throw Errno.brokenPipe }
      text += String(decoding: bytes, as: UTF8.self)
    }
    guard let nanoseconds = Int64(text.dropLast()) else { throw Failure(description: text) }
    return nanoseconds
  }

  deinit {
    try? questions.fileHandleForWriting.close()
    process.waitUntilExit()
  }
}
