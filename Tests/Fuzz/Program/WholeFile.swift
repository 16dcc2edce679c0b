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

/// Reads any bytes as a file that is a checkpoint on its own, then each tensor, twice.
func readWholeFile(_ bytes: [UInt8]) {
  let files = files(of: bytes)
  var reserved = 0
  guard let checkpoint = try? Checkpoint.read(files, reserving: { reserved = max(reserved, $0) })
  else { return }
  check(checkpoint.memoryByteCount <= reserved, "no more than was reserved")
  let catalog = checkpoint.catalog
  for tensor in 0..<min(catalog.count, 32) {
    check(catalog.position(of: catalog.name(tensor)) == tensor, "each tensor found by its name")
    let first = read(tensor, of: checkpoint, in: files, byteCount: bytes.count)
    check(
      first == read(tensor, of: checkpoint, in: files, byteCount: bytes.count),
      "the same bytes again")
  }
}

private func files(of bytes: [UInt8]) -> FileSet {
  check(ftruncate(number, 0) == 0, "a file")
  check(pwrite(number, bytes, bytes.count, 0) == bytes.count, "the input in it")
  do {
    let file = try File(opening: FilePath("/proc/self/fd/\(number)"))
    return try FileSet([(.whole, file)], openedBy: 0)
  } catch {
    fatalError("the file is refused: \(error)")
  }
}

/// The bytes that a client gets in an arena of a tensor whose variable resolves; nil if it gets an
/// error, or a range of the file.
private func read(
  _ tensor: Int, of checkpoint: Checkpoint, in files: FileSet, byteCount size: Int
) -> [UInt8]? {
  let (name, shape) = (checkpoint.catalog.name(tensor), checkpoint.catalog.shape(tensor))
  let variable = Variable(
    "v", dtype: checkpoint.catalog.dtype(tensor), shape: shape, isInStore: false)
  var loading = Loading(checkpoint, files) {}
  // Some as they are, some with their axes in the other order, some cast where they can be.
  var view = View()
  if tensor % 3 == 1, variable.dtype.byteCount != nil {
    view.axes = (0..<shape.rank).reversed()
  }
  if tensor % 4 == 2, variable.dtype.isCast(to: .float32) { view.dtype = .float32 }
  guard
    (try? Resolution.resolve(
      AssignmentMap([.init(name, .variable("v"))]), variables: [variable],
      in: checkpoint.catalog)) != nil,
    let placement = try? checkpoint.placement(
      of: tensor, nil, view: view, PlacementOptions(sealed: tensor % 2 == 1), in: files)
  else { return nil }
  guard case .piece(let piece) = placement else {
    if case .file(_, let offset, let byteCount, _) = placement {
      check(offset >= 0 && byteCount >= 0 && byteCount <= size - offset, "bytes in the file")
    }
    return nil
  }
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
