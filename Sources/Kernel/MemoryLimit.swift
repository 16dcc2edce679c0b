package import SystemPackage

/// How much memory this process may use, and how much of that is left.
///
/// Whoever limits memory does so in one of three places: the machine's size, the process's own limits,
/// and the control groups that the process is in, each of which counts the memory of all processes
/// below it. A process that ignores the smallest of these is not refused memory but killed.
///
/// Where the groups are is found once; the numbers are read anew each time, for limits change while
/// processes run. What cannot be read or makes no sense limits nothing. See `cgroups(7)`, `proc(5)`,
/// and the kernel's `admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`.
package struct MemoryLimit: Sendable {
  private let root: FilePath
  private let groups: [ControlGroup]
  /// Where the kernel counts each NUMA node's memory; empty if `/proc/meminfo` can be read.
  private let nodes: [FilePath]
  private let physicalByteCount: Int
  private let processLimit: Int
  private let freeByteCount: @Sendable () -> Int

  /// Finds the control groups of this process.
  ///
  /// Tests pass a directory with files as `/proc` and `/sys` have them, and what system calls say.
  package init(
    root: FilePath = "/", physicalByteCount: Int = Process.physicalByteCount,
    processLimit: Int = Process.memoryLimit,
    freeByteCount: @escaping @Sendable () -> Int = { Process.freeByteCount }
  ) {
    self.root = root
    self.physicalByteCount = physicalByteCount
    self.processLimit = processLimit
    self.freeByteCount = freeByteCount
    groups = ControlGroup.all(below: root)
    nodes = MemoryLimit.available(root) == nil ? MemoryLimit.nodes(root) : []
  }

  /// The bytes of memory that this process could have if there were no other.
  ///
  /// The smallest of the machine's memory, the process's limits, and those of its control groups.
  package func smallest() -> Int {
    var smallest = min(physicalByteCount, processLimit)
    for group in groups {
      if let limit = group.limit() { smallest = min(smallest, limit) }
    }
    // A container may not see the groups above its own, but is told of their limits.
    if let limit = groups.first?.inheritedLimit() { smallest = min(smallest, limit) }
    return smallest
  }

  /// The bytes that can be allocated now before the kernel has to kill for want of memory.
  ///
  /// Pages of files count as left, for they are dropped when they are in the way; shared memory
  /// counts as used, for it cannot be dropped. Others may allocate at the same time.
  package func available() -> Int {
    var available = MemoryLimit.available(root) ?? max(freeByteCount(), nodesAvailable())
    for group in groups {
      if let left = group.available() { available = min(available, left) }
    }
    return max(0, available)
  }

  /// What the machine has left; nil if `/proc` shows processes only (`ProcSubset=pid`), or on
  /// kernels before 3.14.
  private static func available(_ root: FilePath) -> Int? {
    CountsFile(root.appending("proc/meminfo"))?.kibibytes(of: "MemAvailable:")
  }

  private static func nodes(_ root: FilePath) -> [FilePath] {
    let directory = root.appending("sys/devices/system/node")
    guard var listing = try? Directory(opening: directory) else { return [] }
    var nodes: [FilePath] = []
    while let name = try? listing.next(where: { $0.hasPrefix("node") }) {
      nodes.append(directory.appending(name).appending("meminfo"))
    }
    return nodes
  }

  /// What is free or holds pages of files, in all nodes: about what `MemAvailable` is.
  ///
  /// Free memory alone would be next to nothing on a machine that has read many files.
  private func nodesAvailable() -> Int {
    var sum = 0
    for node in nodes {
      guard let file = CountsFile(node, skippedWords: 2) else { continue }
      for key in ["MemFree:", "Active(file):", "Inactive(file):"] {
        sum = min(CountsFile.maximum, sum + (file.kibibytes(of: key) ?? 0))
      }
    }
    return sum
  }
}
