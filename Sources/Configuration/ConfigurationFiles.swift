import SystemPackage
import WarmstartKernel
import WarmstartTensorModel

/// The files that configure a daemon: one main file, and drop-ins beside it.
///
/// They work as those of systemd's own daemons do: drop-ins are read after the main file, in the
/// order of their names, and a later value wins. The system's daemon has three folders: what the
/// administrator wrote in `/etc` replaces what a package put into `/usr/lib`, file by file.
package struct ConfigurationFiles: Sendable, Hashable {
  /// The folders, the one that counts most last.
  private let folders: [FilePath]
  /// The name of the main file in its folder.
  private let name: String
  /// Whether the main file must exist.
  private let isRequired: Bool

  /// No files, for a daemon that is started by hand.
  package static let none = ConfigurationFiles(folders: [], name: "", isRequired: false)

  /// The files of the system's daemon, as its unit finds them.
  package static let system = ConfigurationFiles(directory: systemDirectory)

  private static let systemDirectory = "/etc/warmstart"

  private init(folders: [FilePath], name: String, isRequired: Bool) {
    self.folders = folders
    self.name = name
    self.isRequired = isRequired
  }

  /// The file of a path, which must exist, and the drop-ins in the folder `path.d`.
  package init(file path: String) {
    let path = FilePath(path)
    self.init(
      folders: [path.removingLastComponent()], name: path.lastComponent?.string ?? "",
      isRequired: true)
  }

  /// The files of a unit's `ConfigurationDirectory=`, none of which need exist.
  ///
  /// See `systemd.exec(5)`, CONFIGURATION_DIRECTORY.
  package init(directory: String) {
    let isSystem = directory == ConfigurationFiles.systemDirectory
    let others: [FilePath] = isSystem ? ["/usr/lib/warmstart", "/run/warmstart"] : []
    self.init(folders: others + [FilePath(directory)], name: "warmstartd.conf", isRequired: false)
  }

  /// Where main files and drop-ins may be, the one that counts most first, for people.
  package var places: String {
    folders.reversed().map { folder in
      let path = folder.appending(name).string.printable
      return "\(path) or \(path).d/*.conf"
    }.joined(separator: ", ")
  }

  /// Reads all files.
  ///
  /// - Parameter note: Called with the path of each file that is read, and whether the file is
  ///   masked: a link to `/dev/null`.
  /// - Throws: All problems of their lines and values, and all files that cannot be read.
  package func read(
    noting note: (_ path: String, _ isMasked: Bool) -> Void = { _, _ in }
  ) throws(ConfigurationError) -> [Assignment] {
    var assignments: [Assignment] = []
    var problems: [String] = []
    var isFound = false
    func read(_ path: FilePath) -> Bool {
      do throws(ConfigurationError) {
        guard let text = try ConfigurationFiles.read(path, noting: note) else { return false }
        assignments += text.assignments
        problems += text.problems
      } catch {
        problems += error.problems
      }
      return true
    }
    for folder in folders.reversed() where !isFound { isFound = read(folder.appending(name)) }
    if isRequired, !isFound {
      let path = folders[0].appending(name).string.printable
      problems.append("cannot read \(path): it does not exist")
    }
    // A link that leads nowhere would be a setting that is silently missing.
    for dropIn in dropIns(&problems) where !read(dropIn) {
      problems.append("cannot read \(dropIn.string.printable): it does not exist")
    }
    if !problems.isEmpty { throw ConfigurationError(problems) }
    return assignments
  }

  /// The drop-ins in their order; of two with one name, that in the later folder.
  private func dropIns(_ problems: inout [String]) -> [FilePath] {
    var found: [(name: FilePath.Component, path: FilePath)] = []
    for folder in folders {
      let folder = folder.appending(name + ".d")
      do throws(Errno) {
        var listing = try Directory(opening: folder)
        while let name = try listing.next(where: { $0.hasSuffix(".conf") && !$0.hasPrefix(".") }) {
          found.removeAll { $0.name == name }
          found.append((name, folder.appending(name)))
        }
      } catch .noSuchFileOrDirectory {
        continue
      } catch {
        problems.append("cannot read \(folder.string.printable): \(error)")
      }
    }
    // Sorted by bytes, as systemd does, whatever the locale.
    found.sort { $0.name.string.utf8.lexicographicallyPrecedes($1.name.string.utf8) }
    return found.map(\.path)
  }

  /// The most bytes of a file; chosen, not tuned.
  private static let maximumByteCount = 64 << 10

  /// Reads a file, and notes it; nil if it does not exist.
  private static func read(
    _ path: FilePath, noting note: (String, Bool) -> Void
  ) throws(ConfigurationError) -> ConfigurationText? {
    let bytes: [UInt8]?
    let isReadable: Bool
    let isMasked: Bool
    do throws(Errno) {
      let file = try File(opening: path)
      let status = try file.status()
      isMasked = status.isRegular ? false : try isNull(status)
      isReadable = status.isRegular || isMasked
      bytes = isReadable ? try file.readToEnd(limit: maximumByteCount) : []
    } catch .noSuchFileOrDirectory {
      return nil
    } catch {
      throw ConfigurationError(["cannot read \(path.string.printable): \(error)"])
    }
    guard isReadable else {
      throw ConfigurationError([
        "cannot read \(path.string.printable): it is not a regular file, expected one or a link to "
          + "/dev/null"
      ])
    }
    guard let bytes else {
      throw ConfigurationError([
        "cannot read \(path.string.printable): it is longer than \(maximumByteCount >> 10) KiB"
      ])
    }
    note(path.string.printable, isMasked)
    return ConfigurationText(bytes, from: path.string)
  }

  /// Whether a file is `/dev/null`, to which a link hides the drop-in of a package.
  private static func isNull(_ status: FileStatus) throws(Errno) -> Bool {
    let null = try File(opening: "/dev/null").status()
    return (status.device, status.inode) == (null.device, null.inode)
  }
}
