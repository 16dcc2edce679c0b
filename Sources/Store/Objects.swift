package import Checkpoint
import Kernel
package import TensorModel

/// The object graph of a checkpoint, as its resident remembers it.
package final class Objects: Sendable {
  /// Which objects there are, and which tensors are theirs.
  package let graph: ObjectGraph
  /// The tensors by what their variables were called.
  package let names: FullNames
  private let charge: Charge

  init(_ graph: ObjectGraph, _ names: FullNames, _ charge: consuming Charge) {
    self.graph = graph
    self.names = names
    self.charge = charge
  }

  /// Whether somebody has read the graph, or is reading it.
  enum State {
    case unread
    case reading(Flight)
    case read(Objects)
  }
}

extension Resident {
  /// The object graph: read through these files unless somebody has; waits if somebody is reading it.
  ///
  /// Throws TENSOR_NOT_FOUND for a checkpoint without one.
  package func objects(
    from files: FileSet, for caller: Caller, in store: Store
  ) throws(Problem) -> Objects {
    let run = try checkpoint.objectGraphRun().run
    while true {
      let flight = Flight()
      let found = objects.withLock { state in
        if case .unread = state {
          state = .reading(flight)
          return Objects.State.unread
        }
        return state
      }
      switch found {
      case .read(let objects): return objects
      case .reading(let other): try caller.wait(for: other)
      case .unread:
        do {
          let read = try read(run, from: files, for: caller, flight, in: store)
          objects.withLock { $0 = .read(read) }
          flight.end()
          return read
        } catch {
          objects.withLock { $0 = .unread }
          flight.end()
          throw error
        }
      }
    }
  }

  private func read(
    _ run: Int, from files: FileSet, for caller: Caller, _ flight: Flight, in store: Store
  ) throws(Problem) -> Objects {
    let reading = try store.charge(
      checkpoint.objectGraphReadingByteCount(run), for: "reading an object graph")
    var loading = Loading(checkpoint, files) { () throws(Problem) in
      // The work goes on for others even if the one who began it has gone.
      if !flight.isAwaited { try caller.checkIn() }
    }
    let graph = try loading.readObjectGraph()
    let names = FullNames(graph, in: checkpoint.catalog)
    _ = consume reading
    let charge = try store.charge(
      graph.memoryByteCount + names.memoryByteCount, for: "an object graph")
    return Objects(graph, names, charge)
  }
}
