import SystemPackage
import WarmstartKernel

/// Lists directories with a limit.
enum Listing {
  /// The names in a directory that satisfy a condition, in no order; empty if there is no
  /// directory.
  static func names(
    in directory: FilePath, limit: Int, where isWanted: (String) -> Bool
  ) throws(LocateError) -> [FilePath.Component] {
    var names: [FilePath.Component] = []
    do throws(Errno) {
      var listing = try Directory(opening: directory)
      while let name = try listing.next(where: isWanted) {
        names.append(name)
        if names.count > limit { break }
      }
    } catch {
      switch error {
      case .noSuchFileOrDirectory, .notDirectory: return []
      default: throw LocateError(error, path: directory.string)
      }
    }
    guard names.count <= limit else {
      throw .tooManyFiles(path: directory.string, limit: limit)
    }
    return names
  }
}
