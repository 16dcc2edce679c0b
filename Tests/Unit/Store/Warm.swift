import SystemPackage
import Testing
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartStore
import WarmstartTable
import WarmstartTensorModel
import WarmstartTestSupport

/// A checkpoint on disk that any number of clients open.
struct Warm: Sendable {
  let directory: TemporaryDirectory
  let bundle: BundleWriter.Bundle

  init(_ writer: BundleWriter) throws {
    directory = try TemporaryDirectory()
    bundle = try writer.write(to: directory.path)
  }

  /// The files as one more client opens them.
  func files(openedBy uid: UInt32 = 1000) throws -> FileSet {
    var files: [(role: FileRole, file: File)] = [
      (.index, try File(opening: FilePath(bundle.index)))
    ]
    for (shard, path) in bundle.shards.enumerated() {
      files.append((.shard(shard, of: bundle.shards.count), try File(opening: FilePath(path))))
    }
    return try FileSet(files, openedBy: uid)
  }

  func open(
    _ store: Store, as label: String = "test", by uid: UInt32 = 1000, for caller: Caller = .patient
  ) throws -> Lease {
    try store.open(try files(openedBy: uid), label: label, for: caller)
  }
}

extension SealedArena {
  /// The bytes of the arena, with those that describe it.
  var fileByteCount: Int { (try? file.status().size) ?? 0 }
}

extension Caller {
  /// A caller that neither hangs up nor stops waiting.
  static var patient: Caller { Caller(nil, until: .never) }
}

extension Resident.Run {
  /// The only run of a tensor of a checkpoint without slices.
  static func whole(_ tensor: Int) -> Resident.Run {
    Resident.Run(position: tensor, tensor: tensor)
  }
}

extension Store {
  /// Makes a store whose other limits are never reached.
  convenience init(
    budget: Int, lingerMilliseconds: Int, warmFileLimit: Int = .max, loadsPerUser: Int = 2,
    available: @escaping @Sendable () -> Int = { .max }, descriptors: DescriptorStore? = nil,
    lockLimit: Int = .max
  ) {
    var limits = Limits()
    limits.memoryByteCount = budget
    limits.lingerMilliseconds = lingerMilliseconds
    limits.warmFileByteCount = warmFileLimit
    limits.loadsPerUser = loadsPerUser
    limits.descriptors = .max
    self.init(limits, available: available, descriptors: descriptors, lockLimit: lockLimit)
  }

  /// Makes a store in which one user may have this many bytes.
  convenience init(share: Int, lingerMilliseconds: Int, warmFileLimit: Int = .max) {
    self.init(
      budget: share + share / 3, lingerMilliseconds: lingerMilliseconds,
      warmFileLimit: warmFileLimit)
  }
}

extension Lease {
  /// Asks for pieces as another client.
  func acquire(
    _ pieces: [Piece], _ warm: Warm, for caller: Caller = .patient
  ) throws -> [PiecePlace] {
    try acquire(runs: [], pieces: pieces, from: warm.files(), for: caller)
  }
}

extension Resident {
  /// The piece of a tensor, or of a slice or chosen rows of it.
  func piece(
    _ name: Name, _ slice: TensorSlice? = nil, gather: Gather? = nil, view: View = View(),
    of warm: Warm
  ) throws -> Piece {
    let tensor = try #require(checkpoint.catalog.position(of: name))
    let placement = try checkpoint.placement(
      of: tensor, slice, gather: gather, view: view, PlacementOptions(sealed: true),
      in: warm.files())
    guard case .piece(let piece) = placement else {
      throw Problem(.system, "sealed bytes of a file")
    }
    return piece
  }
}

extension BundleWriter {
  /// Adds a tensor of zeros that takes no disk space, but time to read.
  mutating func addSparse(_ name: Key, gibibytes: Int, in shard: Int = 0) {
    let mebibyte = [UInt8](repeating: 0, count: 1 << 20)
    var checksum = Checksum()
    for _ in 0..<gibibytes << 10 { checksum.update(mebibyte.rawSpan) }
    add(name, dtype: 4, [0], [], in: shard)
    let byteCount = gibibytes << 30
    change(name) {
      ($0.shape, $0.byteCount, $0.checksum) = ([byteCount], byteCount, checksum.masked)
    }
    skip(byteCount, in: shard)
  }
}

/// Threads of a test that begin together and whose results are collected.
final class Crew<Outcome: Sendable>: Sendable {
  private struct State {
    var ready = 0
    var outcomes: [Int: Outcome] = [:]
  }

  private let state = Monitor(State())
  private let count: Int

  /// Starts the threads; none begins before all have started.
  init(_ count: Int = 1, _ body: @escaping @Sendable (Int) -> Outcome) throws {
    self.count = count
    for number in 0..<count {
      try Thread.detach { [self] in
        state.notifying { $0.ready += 1 }
        _ = state.wait { $0.ready == count ? true : nil }
        let outcome = body(number)
        state.notifying { $0.outcomes[number] = outcome }
      }
    }
  }

  /// Waits for all of them.
  func outcomes() throws -> [Outcome] {
    let all = state.wait(until: .after(milliseconds: 60_000)) { state in
      state.outcomes.count == self.count ? state.outcomes : nil
    }
    return try #require(all, "a thread hangs").sorted { $0.key < $1.key }.map(\.value)
  }
}

/// Does nothing for a while.
func rest(milliseconds: Int) {
  _ = Monitor(0).wait(until: .after(milliseconds: milliseconds)) { _ in nil as Bool? }
}

/// Waits until a condition holds; returns false if that takes too long.
func eventually(_ isSo: () -> Bool) -> Bool {
  for _ in 0..<10_000 {
    if isSo() { return true }
    rest(milliseconds: 1)
  }
  return false
}

/// The result of a call, for a thread to pass on.
func outcome<Value>(_ body: () throws -> Value) -> Result<Value, Problem> {
  do { return .success(try body()) } catch let problem as Problem { return .failure(problem) } catch
  {
    return .failure(Problem(.system, "\(error)"))
  }
}

func floats(_ count: Int) -> [UInt8] {
  (0..<count).flatMap { index in
    let bits = Float(index).bitPattern
    return (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
  }
}
