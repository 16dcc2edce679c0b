import SystemPackage

/// A control group that counts this process's memory, or a parent of one.
struct ControlGroup: Sendable {
  /// The version of the kernel's interface; the two have different names for the same files.
  enum Version: Sendable {
    case first
    case second
  }

  let version: Version
  let directory: FilePath

  /// The smallest limit of this group; nil if it has none.
  func limit() -> Int? {
    let names =
      switch version {
      case .first: ["memory.limit_in_bytes"]
      // Above `memory.high` the kernel slows the group down, in the end to a standstill.
      case .second: ["memory.max", "memory.high"]
      }
    return names.compactMap { limited(CountsFile(directory.appending($0))?.number) }.min()
  }

  /// The smallest limit of this group and all its parents, including parents that no mount shows.
  ///
  /// Nil if there is none, or if the kernel does not say.
  func inheritedLimit() -> Int? {
    guard version == .first else { return nil }
    return limited(statistics()?.number(of: "hierarchical_memory_limit"))
  }

  /// The bytes that the group can allocate, including those that it can drop; nil without a limit.
  func available() -> Int? {
    guard let limit = limit() else { return nil }
    let name = version == .first ? "memory.usage_in_bytes" : "memory.current"
    guard let usage = CountsFile(directory.appending(name))?.number else { return limit }
    // Shared memory cannot be dropped; the kernel counts it as anonymous, so not in these two.
    let prefix = version == .first ? "total_" : ""
    let statistics = statistics()
    let droppable = ["inactive_file", "active_file"].reduce(0) { sum, key in
      sum + (statistics?.number(of: prefix + key) ?? 0)
    }
    return max(0, limit - usage + min(usage, droppable))
  }

  /// A number if it is a limit: without one, the first version writes about 2^63.
  private func limited(_ number: Int?) -> Int? {
    number.flatMap { $0 < CountsFile.maximum ? $0 : nil }
  }

  private func statistics() -> CountsFile? {
    CountsFile(directory.appending("memory.stat"))
  }

  /// Whether the group can have a limit: the root cannot, and other groups may be unable to.
  private var isLimitable: Bool {
    switch version {
    case .first: File.exists(directory.appending("memory.limit_in_bytes"))
    case .second: File.exists(directory.appending("memory.max"))
    }
  }

  // MARK: Finding groups

  // The first client waits for this. It parses bytes because parsing strings would double the time
  // that the daemon takes to start, and keeps few arrays because each new type of array is made at
  // run time.

  /// The groups of this process that can have limits, each before its parents.
  ///
  /// A host may have both versions mounted, but only one of them counts memory. See `cgroups(7)`,
  /// /proc/pid/cgroup.
  static func all(below root: FilePath) -> [ControlGroup] {
    let mounts = mounts(root)
    var groups: [ControlGroup] = []
    var lines = lines(root.appending("proc/self/cgroup"))
    while let line = lines.next() {
      // A line is `number:controllers:path`; in version 2 the number is 0 and no controllers
      // follow.
      var fields = Fields(line, separatedBy: UInt8(ascii: ":"))
      guard let number = fields.nextOrEmpty(), let controllers = fields.nextOrEmpty() else {
        continue
      }
      let version: Version
      if has(controllers, "memory") {
        version = .first
      } else if controllers.isEmpty, number.elementsEqual("0".utf8) {
        version = .second
      } else {
        continue
      }
      let path = parts(fields.rest)
      let ours = mounts.filter { $0.version == version }
      let fitting = ours.filter { $0.shows(path) }
      // Several mounts may show the same groups; take the one that shows the most of them.
      var most: [ControlGroup] = []
      for mount in fitting.isEmpty ? ours : fitting {
        let found = mount.groups(of: path, root)
        if found.count > most.count { most = found }
      }
      groups += most
    }
    return groups
  }

  /// A mount point that shows groups.
  private struct Mount {
    let version: Version
    /// The group that the mount point itself shows.
    let root: [ArraySlice<UInt8>]
    let point: [ArraySlice<UInt8>]

    func shows(_ path: [ArraySlice<UInt8>]) -> Bool { path.starts(with: root) }

    /// Of a group and its parents, those that the mount shows and that can have limits.
    func groups(of path: [ArraySlice<UInt8>], _ top: FilePath) -> [ControlGroup] {
      // In a container, the path may not lie below the mounted group. Then the mount shows only
      // that group, which usually is the container's own.
      var below = shows(path) ? path[root.count...] : []
      // A group above the namespace's root is not below the mount.
      if below.contains(where: { $0.elementsEqual("..".utf8) }) { below = [] }
      var directory = top.string
      var groups: [ControlGroup] = []
      func add(_ part: ArraySlice<UInt8>) {
        directory += "/" + String(decoding: part, as: UTF8.self)
      }
      for part in point { add(part) }
      for part in [[]] + below {
        add(part)
        let group = ControlGroup(version: version, directory: FilePath(directory))
        if group.isLimitable { groups.insert(group, at: 0) }
      }
      return groups
    }
  }

  /// See `proc(5)`, /proc/pid/mountinfo.
  private static func mounts(_ root: FilePath) -> [Mount] {
    var mounts: [Mount] = []
    var lines = lines(root.appending("proc/self/mountinfo"))
    while let line = lines.next() {
      var fields = Fields(line, separatedBy: UInt8(ascii: " "))
      fields.skip(3)
      guard let root = fields.next(), let point = fields.next() else { continue }
      // Optional fields follow the sixth, up to a hyphen; then come the type, the source and the
      // options of the file system.
      fields.skip(1)
      while let field = fields.next(), !field.elementsEqual("-".utf8) {}
      guard let type = fields.next() else { continue }
      fields.skip(1)
      guard let options = fields.next() else { continue }
      let version: Version
      if type.elementsEqual("cgroup2".utf8) {
        version = .second
      } else if type.elementsEqual("cgroup".utf8), has(options, "memory") {
        version = .first
      } else {
        continue
      }
      mounts.append(
        Mount(version: version, root: parts(unescaped(root)), point: parts(unescaped(point))))
    }
    return mounts
  }

  /// Whether a comma-separated list has a word.
  private static func has(_ list: ArraySlice<UInt8>, _ word: String) -> Bool {
    var words = Fields(list, separatedBy: UInt8(ascii: ","))
    while let next = words.next() {
      if next.elementsEqual(word.utf8) { return true }
    }
    return false
  }

  private static func parts(_ path: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    var parts: [ArraySlice<UInt8>] = []
    var names = Fields(path, separatedBy: UInt8(ascii: "/"))
    while let name = names.next() { parts.append(name) }
    return parts
  }

  /// Decodes the kernel's escapes in a path: it writes a blank as `\040`, for example.
  private static func unescaped(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let backslash = UInt8(ascii: "\\")
    guard text.contains(backslash) else { return text }
    var bytes: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      let digits = String(decoding: rest.prefix(3), as: UTF8.self)
      if byte == backslash, digits.utf8.count == 3, let code = UInt8(digits, radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return bytes[...]
  }

  /// The lines of a file; none if it cannot be read or exceeds 4 MiB, thousands of mounts.
  private static func lines(_ path: FilePath) -> Fields {
    let maximumByteCount = 4 << 20
    var text: [UInt8]?
    if let file = try? File(opening: path) {
      text = try? file.readToEnd(limit: maximumByteCount)
    }
    return Fields((text ?? [])[...], separatedBy: UInt8(ascii: "\n"))
  }
}

/// Takes the fields of a text off its front, one by one.
private struct Fields {
  /// What no field was taken from yet.
  private(set) var rest: ArraySlice<UInt8>
  private let separator: UInt8

  init(_ text: ArraySlice<UInt8>, separatedBy separator: UInt8) {
    rest = text
    self.separator = separator
  }

  /// The next field that is not empty; nil at the end of the text.
  mutating func next() -> ArraySlice<UInt8>? {
    while !rest.isEmpty {
      let field = nextOrEmpty() ?? takeRest()
      if !field.isEmpty { return field }
    }
    return nil
  }

  /// The bytes up to the next separator, perhaps none; nil, and takes nothing, without one.
  mutating func nextOrEmpty() -> ArraySlice<UInt8>? {
    guard let end = rest.firstIndex(of: separator) else { return nil }
    let field = rest[..<end]
    rest = rest[(end + 1)...]
    return field
  }

  /// Takes fields that are of no interest.
  mutating func skip(_ count: Int) {
    for _ in 0..<count { _ = next() }
  }

  private mutating func takeRest() -> ArraySlice<UInt8> {
    let field = rest
    rest = rest[rest.endIndex...]
    return field
  }
}
