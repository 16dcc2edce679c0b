import Foundation
import SystemPackage
import WarmstartKernel
import WarmstartTestSupport

/// Machines of files as `/proc` and `/sys` have them.
extension MemoryLimitTests {
  static let gibibyte = 1 << 30
  static let unlimited = "9223372036854771712\n"
  static let secondMount =
    "25 20 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
  static let firstMount =
    "24 20 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs rw,mode=755\n"
    + "25 24 0:23 / /sys/fs/cgroup/cpu rw shared:4 - cgroup cgroup rw,cpu,cpuacct\n"
    + "26 24 0:24 / /sys/fs/cgroup/memory rw shared:5 master:1 - cgroup cgroup rw,memory\n"
  static let meminfo =
    "MemTotal: 33554432 kB\nMemFree: 1048576 kB\nMemAvailable: 16777216 kB\n"

  /// A machine of 32 GiB, of which 16 are available and one is free, with more files.
  func machine(
    _ files: [String: String], cgroup: String, mounts: String, processLimit: Int = .max
  ) throws -> MemoryLimit {
    var all = [
      "proc/self/cgroup": cgroup, "proc/self/mountinfo": mounts, "proc/meminfo": Self.meminfo,
    ]
    all.merge(files) { $1 }
    for (path, text) in all where text != "-" {
      let url = URL(filePath: directory.path).appending(path: path)
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }
    return MemoryLimit(
      root: FilePath(directory.path), physicalByteCount: 32 * Self.gibibyte,
      processLimit: processLimit, freeByteCount: { Self.gibibyte })
  }

  /// The files of a group of the second version.
  func second(
    _ path: String, max: String = "max\n", high: String = "max\n", usage: Int = 0,
    inactive: Int = 0, active: Int = 0, shared: Int = 0
  ) -> [String: String] {
    let directory = "sys/fs/cgroup" + path
    return [
      directory + "/memory.max": max, directory + "/memory.high": high,
      directory + "/memory.current": "\(usage)\n",
      directory + "/memory.stat":
        "anon 1\nfile \(inactive + active + shared)\nshmem \(shared)\ninactive_anon \(shared)\n"
        + "inactive_file \(inactive)\nactive_file \(active)\nunevictable 0\n",
    ]
  }

  /// The files of a group of the first version, whose own counts leave out what is below it.
  func first(
    _ path: String, limit: String = unlimited, usage: Int = 0, inactive: Int = 0, active: Int = 0,
    inherited: String = unlimited
  ) -> [String: String] {
    let directory = "sys/fs/cgroup/memory" + path
    return [
      directory + "/memory.limit_in_bytes": limit,
      directory + "/memory.usage_in_bytes": "\(usage)\n",
      directory + "/memory.stat":
        "cache 1\ninactive_file 7\nactive_file 7\nhierarchical_memory_limit \(inherited)"
        + "total_inactive_file \(inactive)\ntotal_active_file \(active)\n",
    ]
  }

  func merged(_ groups: [String: String]...) -> [String: String] {
    groups.reduce(into: [:]) { $0.merge($1) { $1 } }
  }
}
