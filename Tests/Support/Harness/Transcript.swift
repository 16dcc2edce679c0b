internal import Foundation
internal import SystemPackage
internal import WarmstartKernel
internal import WarmstartMessages
internal import WarmstartTestSupport

/// A conversation between a client and the daemon, frame by frame in hexadecimal.
///
/// `C>` or `D>` at the start of a line starts a frame from the client or the daemon, and the lines
/// below continue it. `#` starts a comment. Bytes in brackets, `[6c 6f 67]`, vary: they are sent as
/// written, but any number of other bytes may be received in their place. After the arrow,
/// `fds=1(v2_tiles/t.index)` names the descriptors on the frame: a golden checkpoint's file, or
/// `arena:40` for a sealed arena of 40 bytes. `raw` after the arrow starts bytes without a frame.
/// `C> end` and `D> end` close the sender's end.
package struct Transcript: Sendable {
  /// The side that sends a frame.
  package enum Side: Sendable {
    case client
    case daemon
  }

  /// A run of bytes that are as written, or that vary.
  struct Run: Sendable {
    var bytes: [UInt8]
    let varies: Bool
  }

  /// One frame, or the end of one side's bytes.
  struct Step: Sendable {
    let side: Side
    let line: Int
    var runs: [Run] = []
    var descriptors: [String] = []
    var isEnd = false
    var isRaw = false
    /// Whether a bracket is open, which may close on a later line.
    var varies = false

    var bytes: [UInt8] { runs.flatMap(\.bytes) }
  }

  /// What is wrong with a transcript or with what replays it.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// The file's name, without its extension.
  package let name: String
  let steps: [Step]

  /// The comment that the file begins with.
  package let title: String

  /// Reads a file of `Tests/Data/Transcripts`, or of another folder of `Tests`.
  package init(_ name: String, in folder: String = "Transcripts") throws {
    self.name = name
    let file = Transcript.folder(folder).appending(path: "\(name).txt")
    let text = try String(contentsOf: file, encoding: .utf8)
    title = String(text.prefix { $0 != "\n" }.drop { $0 == "#" || $0 == " " })
    var steps: [Step] = []
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      try Transcript.read(line.prefix { $0 != "#" }, number + 1, of: name, into: &steps)
    }
    self.steps = steps
  }

  /// The names of all transcripts of a folder.
  package static func names(in folder: String = "Transcripts") -> [String] {
    let files = try? FileManager.default.contentsOfDirectory(
      atPath: Transcript.folder(folder).path(percentEncoded: false))
    return (files ?? []).filter { $0.hasSuffix(".txt") }.map { String($0.dropLast(4)) }.sorted()
  }

  private static func folder(_ name: String) -> URL {
    Golden.folder.deletingLastPathComponent().appending(path: name)
  }

  // MARK: Reading

  private static func read(
    _ line: Substring, _ number: Int, of name: String, into steps: inout [Step]
  ) throws {
    var words = line.split(separator: " ")
    if words.first == "C>" || words.first == "D>" {
      steps.append(Step(side: words.removeFirst() == "C>" ? .client : .daemon, line: number))
    }
    guard !words.isEmpty else { return }
    guard !steps.isEmpty else { throw Failure(description: "\(name):\(number): bytes of no frame") }
    if words.first == "end" {
      steps[steps.count - 1].isEnd = true
      return
    }
    if words.first == "raw" {
      steps[steps.count - 1].isRaw = true
      words.removeFirst()
    }
    if let first = words.first, first.hasPrefix("fds=") {
      steps[steps.count - 1].descriptors = try descriptors(first, "\(name):\(number)")
      words.removeFirst()
    }
    for word in words {
      let opens = word.hasPrefix("[")
      if opens { steps[steps.count - 1].varies = true }
      let digits = word.filter { $0 != "[" && $0 != "]" }
      if !digits.isEmpty {
        guard digits.count == 2, let byte = UInt8(digits, radix: 16) else {
          throw Failure(description: "\(name):\(number): \(word) is not a byte")
        }
        steps[steps.count - 1].append(byte, begins: opens)
      }
      if word.hasSuffix("]") { steps[steps.count - 1].varies = false }
    }
  }

  private static func descriptors(_ word: Substring, _ place: String) throws -> [String] {
    let parts = word.dropFirst(4).split(separator: "(", maxSplits: 1)
    let names = parts.count < 2 ? [] : parts[1].dropLast().split(separator: ",").map(String.init)
    guard let count = parts.first.flatMap({ Int($0) }), count == names.count else {
      throw Failure(description: "\(place): \(word) does not name its descriptors")
    }
    return names
  }

  /// Opens the file or arena that a name stands for.
  static func open(_ name: String) throws -> File {
    guard name.hasPrefix("arena:") else {
      return try File(opening: FilePath(Golden.path(name)))
    }
    let arena = try Arena(named: "transcript", byteCount: Int(name.dropFirst(6)) ?? 0)
    return File(try arena.seal().open())
  }

  /// Whether a received descriptor is the file or arena that a name stands for.
  static func matches(_ file: File, _ name: String) throws -> Bool {
    let status = try file.status()
    if name.hasPrefix("arena:") {
      // A description of the arena follows its bytes.
      return SealedArena.isSealed(file.descriptor) && status.size >= Int(name.dropFirst(6)) ?? .max
    }
    let expected = try open(name).status()
    return status.device == expected.device && status.inode == expected.inode
  }
}

extension Transcript.Step {
  fileprivate mutating func append(_ byte: UInt8, begins: Bool) {
    if let last = runs.last, last.varies == varies, !begins {
      runs[runs.count - 1].bytes.append(byte)
    } else {
      runs.append(Transcript.Run(bytes: [byte], varies: varies))
    }
  }

  /// Whether bytes match the step, in which some may vary.
  ///
  /// After bytes that vary, the first occurrence of the next run is taken, which finds a match if
  /// there is one. The last run must be at the end.
  func matches(_ bytes: [UInt8]) -> Bool {
    var position = 0
    var maySkip = false
    for (index, run) in runs.enumerated() {
      guard !run.varies else {
        maySkip = true
        continue
      }
      let last = bytes.count - run.bytes.count
      let first = maySkip && index == runs.count - 1 ? last : position
      guard position <= first, first <= last else { return false }
      let found = (first...(maySkip ? last : first)).first { start in
        run.bytes.indices.allSatisfy { bytes[start + $0] == run.bytes[$0] }
      }
      guard let found else { return false }
      position = found + run.bytes.count
      maySkip = false
    }
    return maySkip || position == bytes.count
  }
}

// MARK: - Replaying

extension Transcript {
  /// Sends all of the client's frames, without looking at the answers.
  package func sendAll(on peer: Peer) throws {
    for step in steps where step.side == .client {
      try peer.send(step.bytes, step.descriptors.map(Transcript.open))
    }
  }

  /// Plays one side; the other end's frames must be as written.
  ///
  /// `willPlay` is called before each step, with its position.
  package func play(
    _ side: Side, on peer: Peer, willPlay: (Int) throws -> Void = { _ in }
  ) throws {
    for (index, step) in steps.enumerated() {
      try willPlay(index)
      let place = "\(name).txt:\(step.line)"
      if step.side == side {
        if step.isEnd {
          peer.finishWriting()
        } else {
          let isAwaited = steps[index...].contains { $0.side != side && !$0.isEnd }
          try send(step, to: peer, isAwaited: isAwaited)
        }
        continue
      }
      var files: [File] = []
      let bytes =
        try step.isRaw
        ? peer.receive(step.bytes.count, &files, .after(milliseconds: 120_000))
        : peer.frame(&files)
      guard let bytes else {
        guard step.isEnd else { throw Failure(description: "\(place): the other side has closed") }
        continue
      }
      guard !step.isEnd, step.matches(bytes) else {
        throw Failure(description: "\(place): received \(Transcript.hexadecimal(bytes))")
      }
      let areRight = try zip(files, step.descriptors).allSatisfy { try Transcript.matches($0, $1) }
      guard files.count == step.descriptors.count, areRight else {
        throw Failure(description: "\(place): received other descriptors: \(files.count)")
      }
    }
  }

  /// Sends a frame.
  ///
  /// A peer without further steps may already have closed.
  private func send(_ step: Step, to peer: Peer, isAwaited: Bool) throws {
    do {
      try peer.send(step.bytes, step.descriptors.map(Transcript.open))
    } catch {
      let isGone = error as? Errno == .brokenPipe || error as? Errno == .connectionReset
      guard isGone, !isAwaited else { throw error }
    }
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
  }
}
