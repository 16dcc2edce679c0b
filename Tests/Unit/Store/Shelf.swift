import SystemPackage
import WarmstartKernel
import WarmstartStore

/// A service manager's descriptor store, in this process.
final class Shelf: Sendable {
  private struct State {
    var files: [String: File] = [:]
    /// Counts the processes: one that was killed can change nothing any more.
    var process = 0
    var allNames: [String] = []
  }

  private let state = Monitor(State())
  private let capacity: Int

  init(capacity: Int = 96) {
    self.capacity = capacity
  }

  /// The store as the next process sees it; that of the one before has no effect any more.
  func next() -> DescriptorStore {
    let process = state.withLock { state in
      state.process += 1
      return state.process
    }
    return DescriptorStore(capacity: capacity) { [state] file, name in
      guard let copy = try? file.descriptor.duplicate() else { return false }
      let kept = File(copy)
      state.withLock { state in
        guard state.process == process else { return }
        state.files[name] = kept
        state.allNames.append(name)
      }
      return true
    } remove: { [state] name in
      let removed = state.withLock { state in
        state.process == process ? state.files.removeValue(forKey: name) : nil
      }
      _ = removed
    } settle: {
    }
  }

  /// The names of what is stored, in order.
  var names: [String] { state.withLock { $0.files.keys.sorted() } }
  /// Every name that was ever stored.
  var allNames: [String] { state.withLock { $0.allNames } }

  /// How many descriptors there are of a kind.
  func count(_ kind: String) -> Int { names.count { $0.hasPrefix("\(kind).") } }

  /// Replaces a descriptor.
  func put(_ file: File?, as name: String) {
    state.withLock { $0.files[name] = file }
  }

  /// Copies of all descriptors, as a new process gets them.
  func passed() throws -> [(name: String, file: File)] {
    try state.withLock { $0.files }.map { ($0.key, File(try $0.value.descriptor.duplicate())) }
  }

  /// The only descriptor of a kind.
  func only(_ kind: String) throws -> (name: String, file: File) {
    try passed().filter { $0.name.hasPrefix("\(kind).") }[0]
  }
}
