import Glibc
import SystemPackage
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// The file that takes each input in turn; it has no name.
private let number: CInt = {
  var path = Array("/tmp/warmstart-fuzz-XXXXXX".utf8CString)
  let number = mkstemp(&path)
  unlink(path)
  return number
}()

/// Reads any bytes as a table of a V1 checkpoint, then each tensor, twice.
func fuzzSavedSlices(_ bytes: [UInt8]) {
  let files = files(of: withRightChecksums(bytes))
  var reserved = 0
  guard let checkpoint = try? Checkpoint.read(files, reserving: { reserved = $0 }) else { return }
  check(checkpoint.memoryByteCount <= reserved, "no more than was reserved")
  let catalog = checkpoint.catalog
  for tensor in 0..<min(catalog.count, 32) {
    check(catalog.position(of: catalog.name(tensor)) == tensor, "each tensor found by its name")
    let first = read(tensor, of: checkpoint, in: files)
    check(first == read(tensor, of: checkpoint, in: files), "the same bytes again")
  }
}

/// The input as the only file of a checkpoint.
func files(of bytes: [UInt8]) -> FileSet {
  check(ftruncate(number, 0) == 0, "a file")
  check(pwrite(number, bytes, bytes.count, 0) == bytes.count, "the input in it")
  do {
    let file = try File(opening: FilePath("/proc/self/fd/\(number)"))
    return try FileSet([(.whole, file)], openedBy: 0)
  } catch {
    fatalError("the file is refused: \(error)")
  }
}

/// The bytes that a client gets of a tensor whose variable resolves; nil if it gets an error.
private func read(_ tensor: Int, of checkpoint: Checkpoint, in files: FileSet) -> [UInt8]? {
  let (name, shape) = (checkpoint.catalog.name(tensor), checkpoint.catalog.shape(tensor))
  let variable = Variable(
    "v", dtype: checkpoint.catalog.dtype(tensor), shape: shape, isInStore: false)
  var loading = Loading(checkpoint, files) {}
  guard
    (try? Resolution.resolve(
      AssignmentMap([.init(name, .variable("v"))]), variables: [variable],
      in: checkpoint.catalog)) != nil,
    let placement = try? checkpoint.placement(of: tensor, nil, PlacementOptions(), in: files)
  else { return nil }
  guard case .piece(let piece) = placement else { fatalError("a record that lies ready") }
  // What a client has to have room for may be any size: this machine has not.
  guard let count = try? loading.byteCount(of: piece), count <= 1 << 20 else { return nil }
  guard var arena = try? Arena(named: "fuzz", byteCount: piece.alignment + count) else {
    return nil
  }
  let target = Loading.Target(piece: piece, offset: piece.alignment, byteCount: count)
  do {
    try loading.load(verifying: [], filling: [target], of: &arena)
  } catch {
    return nil
  }
  let span = arena.bytes
  return Array(span.bytes)
}
