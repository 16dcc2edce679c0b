import SystemPackage
import WarmstartCheckpoint
import WarmstartKernel
import WarmstartTensorModel

/// Stands for each file of a checkpoint: this program, of which nothing is read.
private let file: File? = try? File(opening: "/proc/self/exe")

/// Reads any bytes as a V2 checkpoint's index, and asks for all that it lists, and for its slices.
func fuzzBundle(_ bytes: [UInt8]) {
  guard let checkpoint = try? BundleReader.parse(withRightChecksums(bytes)) else { return }
  let catalog = checkpoint.catalog
  let shards = (0..<2).map { FileRole.shard($0, of: checkpoint.shardCount) }
  guard let file, let files = try? FileSet(([.index] + shards).map { ($0, file) }, openedBy: 0)
  else { fatalError("the files are refused") }
  var end = 0
  for tensor in 0..<catalog.count {
    check(catalog.position(of: catalog.name(tensor)) == tensor, "each tensor found by its name")
    check(checkpoint.storedRange(tensor).lowerBound == end, "runs without gaps")
    check(checkpoint.byteCount(of: tensor) >= 0, "no fewer than no bytes")
    end = checkpoint.storedRange(tensor).upperBound
    place(tensor, nil, of: checkpoint, in: files)
    for slice in catalog.slices(tensor).prefix(4) {
      place(tensor, slice, of: checkpoint, in: files)
    }
  }
  check(checkpoint.stored.count == end, "no run without a tensor")
}

/// Resolves a variable that is a tensor or a slice of one, and decides where its bytes are.
private func place(
  _ tensor: Int, _ slice: TensorSlice?, of checkpoint: Checkpoint, in files: FileSet
) {
  let (name, shape) = (checkpoint.catalog.name(tensor), checkpoint.catalog.shape(tensor))
  let variable = Variable(
    "variable", dtype: checkpoint.catalog.dtype(tensor), shape: slice?.shape ?? shape,
    partition: slice.map { Partition(of: name, fullShape: shape, offset: $0.starts) })
  let target: AssignmentMap.Target = slice == nil ? "variable" : .variables(["variable"])
  guard
    let resolution = try? Resolution.resolve(
      AssignmentMap([.init(name, target)]), variables: [variable], in: checkpoint.catalog)
  else { return }
  check(resolution.assignments.count == 1, "the variable to be assigned")
  for assignment in resolution.assignments {
    check(assignment.tensor == tensor, "the tensor of that name")
    guard
      case .file(let run, let offset, let byteCount, let strides)? = try? checkpoint.placement(
        of: tensor, assignment.slice, PlacementOptions(strides: true), in: files)
    else { continue }
    check(checkpoint.storedRange(tensor).contains(run), "a run of the tensor")
    check(strides.isEmpty || strides.count == shape.rank, "a stride for each axis")
    let size = files.index.status.size
    check(offset >= 0 && byteCount >= 0 && byteCount <= size - offset, "bytes in the file")
  }
}
