import SystemPackage

/// A control group that counts this process's memory, or that is above one that does.
struct ControlGroup: Sendable {
  /// The two versions of the kernel's interface, which call the same things differently.
  enum Version: Sendable {
    case first
    case second
  }

  let version: Version
  let directory: FilePath

  /// The smallest limit that is set here; nil for none.
  func limit() -> Int? {
    let names =
      switch version {
      case .first: ["memory.limit_in_bytes"]
      // Above the latter the group is slowed down until it stands still.
      case .second: ["memory.max", "memory.high"]
      }
    return names.compactMap { limited(CountsFile(directory.appending($0))?.number) }.min()
  }

  /// The smallest limit of this group and all above it, seen or not; nil for none, or if the kernel
  /// does not say.
  func inheritedLimit() -> Int? {
    guard version == .first else { return nil }
    return limited(statistics()?.number(of: "hierarchical_memory_limit"))
  }

  /// What the group may still allocate, with what it could drop; nil if nothing is limited here.
  func available() -> Int? {
    guard let limit = limit() else { return nil }
    let name = version == .first ? "memory.usage_in_bytes" : "memory.current"
    guard let usage = CountsFile(directory.appending(name))?.number else { return limit }
    // Shared memory is on the lists of anonymous memory.
    let prefix = version == .first ? "total_" : ""
    let statistics = statistics()
    let droppable = ["inactive_file", "active_file"].reduce(0) { sum, key in
      sum + (statistics?.number(of: prefix + key) ?? 0)
    }
    return max(0, limit - usage + min(usage, droppable))
  }

  /// A number if it is a limit: the first version writes some 2^63 for none.
  private func limited(_ number: Int?) -> Int? {
    number.flatMap { $0 < CountsFile.maximum ? $0 : nil }
  }

  private func statistics() -> CountsFile? {
    CountsFile(directory.appending("memory.stat"))
  }

  /// Whether memory is counted here: the root is without limits, and other groups may be too.
  private var isLimitable: Bool {
    switch version {
    case .first: File.exists(directory.appending("memory.limit_in_bytes"))
    case .second: File.exists(directory.appending("memory.max"))
    }
  }

  // MARK: Finding them

  /// The groups of this process that can have limits, each before those above it.
  ///
  /// A host may have both versions mounted, of which one counts memory.
  static func all(below root: FilePath) -> [ControlGroup] {
    let mounts = mounts(root)
    return lines(root.appending("proc/self/cgroup")) { _ in true }
      .flatMap { line -> [ControlGroup] in
        // A number, controllers, the path; the second version has the number 0 and no controllers.
        let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3 else { return [] }
        let version: Version
        if fields[1].split(separator: ",").contains("memory") {
          version = .first
        } else if fields[0] == "0", fields[1].isEmpty {
          version = .second
        } else {
          return []
        }
        let path = parts(fields[2])
        let mounts = mounts.filter { $0.version == version }
        let fitting = mounts.filter { path.starts(with: $0.root) }
        let candidates = (fitting.isEmpty ? mounts : fitting)
          .map { mount in
            mount.directories(of: path).map {
              ControlGroup(version: version, directory: root.appending($0))
            }.filter(\.isLimitable)
          }
        // The mount that shows most: the others show parts of the same groups.
        return candidates.max { $0.count < $1.count } ?? []
      }
  }

  /// A place where groups can be seen.
  private struct Mount {
    let version: Version
    /// Which group is seen there.
    let root: [Substring]
    let point: [Substring]

    /// Where a group and those above it are, from the former to what is mounted.
    func directories(of path: [Substring]) -> [String] {
      // Containers may see a path that is not below what is mounted for them; then that is all there
      // is to see, and most often their own group.
      var below = path.starts(with: root) ? Array(path.dropFirst(root.count)) : []
      // A group above the namespace's root has no place below the mount.
      if below.contains("..") { below = [] }
      return (0...below.count).reversed().map {
        (point + below.prefix($0)).joined(separator: "/")
      }
    }
  }

  /// See `proc(5)`, /proc/pid/mountinfo.
  private static func mounts(_ root: FilePath) -> [Mount] {
    let type = Array(" - cgroup".utf8)
    // Few lines are like this, and to take a line to pieces takes long.
    return lines(root.appending("proc/self/mountinfo")) { line in
      line.indices.contains { line[$0] == type[0] && line[$0...].starts(with: type) }
    }
    .compactMap { line -> Mount? in
      let fields = line.split(separator: " ")
      // After the sixth are fields in any number, up to a hyphen.
      guard fields.count > 6, let hyphen = fields[6...].firstIndex(of: "-"),
        fields.count > hyphen + 3
      else { return nil }
      let version: Version
      switch fields[hyphen + 1] {
      case "cgroup2": version = .second
      case "cgroup" where fields[hyphen + 3].split(separator: ",").contains("memory"):
        version = .first
      default: return nil
      }
      return Mount(
        version: version, root: parts(unescaped(fields[3])), point: parts(unescaped(fields[4])))
    }
  }

  private static func parts(_ path: Substring) -> [Substring] { path.split(separator: "/") }

  /// A path as it is: the kernel writes blanks, line ends and backslashes as `\040`.
  private static func unescaped(_ text: Substring) -> Substring {
    guard text.utf8.contains(UInt8(ascii: "\\")) else { return text }
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      let digits = String(Substring(rest.prefix(3)))
      if byte == UInt8(ascii: "\\"), digits.utf8.count == 3, let code = UInt8(digits, radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return Substring(String(decoding: bytes, as: UTF8.self))
  }

  /// The lines of a file that are wanted; on hosts of many containers there are thousands of mounts.
  private static func lines(
    _ path: FilePath, where isWanted: (ArraySlice<UInt8>) -> Bool
  ) -> [Substring] {
    let maximumByteCount = 4 << 20
    guard let file = try? File(opening: path),
      let bytes = try? file.readToEnd(limit: maximumByteCount)
    else { return [] }
    return bytes.split(separator: UInt8(ascii: "\n")).filter(isWanted)
      .map { Substring(String(decoding: $0, as: UTF8.self)) }
  }
}
