package import SystemPackage

/// How much memory this process may use, and how much of that is left.
///
/// Three things limit memory: the machine's size, the process's own limits, and the control groups
/// that the process is in, each of which counts the memory of all processes in it and below it. The
/// kernel does not refuse memory beyond a group's limit: it kills a process.
///
/// The groups are looked for once. Their numbers are read each time, because limits change while
/// processes run. A number that is missing or malformed is no limit. See `cgroups(7)`, `proc(5)`,
/// and the kernel's `admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`.
package struct MemoryLimit: Sendable {
  private let root: FilePath
  private let groups: [ControlGroup]
  private let physicalByteCount: Int
  private let processLimit: Int
  private let freeByteCount: @Sendable () -> Int

  /// Finds the control groups of this process.
  ///
  /// Tests pass a directory with files like those in `/proc` and `/sys`, and numbers in place of
  /// those that system calls return.
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
  }

  /// The bytes of memory that this process could have if no other process ran.
  ///
  /// This is the smallest of the machine's memory, the process's limits and its groups' limits.
  package func smallest() -> Int {
    var smallest = min(physicalByteCount, processLimit)
    for group in groups {
      if let limit = group.limit() { smallest = min(smallest, limit) }
    }
    // A container may not see its group's parents, but the kernel shows it their limits.
    if let limit = groups.first?.inheritedLimit() { smallest = min(smallest, limit) }
    return smallest
  }

  /// The bytes that can be allocated now before the kernel kills a process.
  ///
  /// Cached pages of files count as available, because the kernel drops them when it needs memory.
  /// Shared memory counts as used. Other processes may allocate at the same time.
  package func available() -> Int {
    var available = MemoryLimit.available(root) ?? max(freeByteCount(), nodesAvailable())
    for group in groups {
      if let left = group.available() { available = min(available, left) }
    }
    return max(0, available)
  }

  /// The memory that the machine has available.
  ///
  /// Nil if `/proc` shows only processes (systemd's `ProcSubset=pid`), or on kernels before 3.14.
  private static func available(_ root: FilePath) -> Int? {
    CountsFile(root.appending("proc/meminfo"))?.kibibytes(of: "MemAvailable:")
  }

  /// The files with each NUMA node's memory.
  private static func nodes(_ root: FilePath) -> [FilePath] {
    let directory = root.appending("sys/devices/system/node")
    guard var listing = try? Directory(opening: directory) else { return [] }
    var nodes: [FilePath] = []
    while let name = try? listing.next(where: { $0.hasPrefix("node") }) {
      nodes.append(directory.appending(name).appending("meminfo"))
    }
    return nodes
  }

  /// The memory of all nodes that is free or caches files, which is about `MemAvailable`.
  ///
  /// Free memory alone would be close to nothing on a machine that has read many files.
  private func nodesAvailable() -> Int {
    var sum = 0
    for node in MemoryLimit.nodes(root) {
      guard let file = CountsFile(node, skippedWords: 2) else { continue }
      for key in ["MemFree:", "Active(file):", "Inactive(file):"] {
        sum = min(CountsFile.maximum, sum + (file.kibibytes(of: key) ?? 0))
      }
    }
    return sum
  }
}
