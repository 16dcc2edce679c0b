import SystemPackage
import WarmstartConfiguration
import WarmstartKernel
import WarmstartServer
import WarmstartSystemd

/// What the daemon gets from outside when it starts: the sockets that it listens on, and what an
/// earlier process left.
///
/// The service manager passes descriptors with names. Some are sockets; the others come from its
/// descriptor store. A daemon that was started by hand makes its sockets itself.
struct Listeners {
  private(set) var sockets: [(socket: Socket, endpoint: Endpoint)] = []
  /// The paths that this process made; empty if the service manager passed the sockets.
  private(set) var paths: [String] = []
  /// What an earlier process left in the descriptor store, with the names that it gave.
  private var stored: [(name: String, file: File)] = []
  /// What is wrong with the passed sockets, or with the units that name them.
  private var mistake: StartError?

  /// Takes the descriptors that the service manager passed, if any.
  ///
  /// - Throws: Why they cannot be taken.
  static func inherited() throws(StartError) -> Listeners {
    var listeners = Listeners()
    var sockets: [(name: String, socket: Socket)] = []
    do throws(Errno) {
      try Activation.takeDescriptors { name, descriptor in
        if endpoint(named: name) != nil || Socket.isListening(descriptor) {
          sockets.append((name, Socket(descriptor)))
        } else {
          listeners.stored.append((name, File(descriptor)))
        }
      }
    } catch {
      throw StartError("cannot take the descriptors that the service manager passed: \(error)")
    }
    for (name, socket) in sockets {
      // Reported later, after the clients that wait at the other sockets have an answer.
      do throws(StartError) { try listeners.add(socket, named: name) } catch {
        listeners.mistake = error
      }
    }
    return listeners
  }

  /// The endpoint whose socket unit has a `FileDescriptorName=`; nil for another name.
  private static func endpoint(named name: String) -> Endpoint? {
    switch name {
    case "warmstart": .clients
    case "admin": .administration
    case "metrics": .metrics
    default: nil
    }
  }

  private mutating func add(_ socket: Socket, named name: String) throws(StartError) {
    guard socket.isListening else {
      throw StartError(
        "the passed socket \(name) is not a listening Unix stream socket", status: .configuration)
    }
    do { try socket.setNonBlocking() } catch {
      throw StartError("cannot use the passed socket \(name): \(error)")
    }
    guard let endpoint = Listeners.endpoint(named: name) else {
      throw StartError(
        "a passed socket is named \(name), expected warmstart, admin or metrics "
          + "(FileDescriptorName= in its unit)", status: .configuration)
    }
    sockets.append((socket, endpoint))
  }

  /// Listens at the configured paths, unless the service manager passed sockets.
  mutating func listen(_ configuration: Configuration) throws(StartError) {
    if let mistake { throw mistake }
    guard sockets.isEmpty else { return }
    guard let path = configuration.socket else {
      throw StartError(
        "no socket to listen on: start warmstartd.socket, or pass --socket PATH", status: .usage)
    }
    try listen(at: path, mode: 0o666, .clients)
    if let path = configuration.adminSocket { try listen(at: path, mode: 0o600, .administration) }
    if let path = configuration.metricsSocket { try listen(at: path, mode: 0o600, .metrics) }
  }

  private mutating func listen(
    at path: String, mode: UInt32, _ endpoint: Endpoint
  ) throws(StartError) {
    do {
      sockets.append((try Socket(listeningAt: FilePath(path), mode: mode), endpoint))
    } catch .addressInUse {
      throw StartError("another daemon listens at \(path)")
    } catch .fileExists {
      let isDirectory = (try? File.isDirectory(FilePath(path))) == true
      throw StartError(
        "cannot listen at \(path): it is \(isDirectory ? "a directory" : "not a socket")")
    } catch .noSuchFileOrDirectory {
      throw StartError("cannot listen at \(path): its directory does not exist")
    } catch {
      throw StartError("cannot listen at \(path): \(error)")
    }
    paths.append(path)
  }

  /// Takes out what an earlier process left: what the caller drops is closed.
  mutating func takeStored() -> [(name: String, file: File)] {
    defer { stored = [] }
    return stored
  }

  /// What the daemon listens on, for the log.
  var summary: String {
    // Not joined by a generic function, which would search all conformances while the first client
    // waits.
    var text = ""
    for (position, (_, endpoint)) in sockets.enumerated() {
      text += text.isEmpty ? "" : ", "
      switch endpoint {
      case .clients: text += "clients"
      case .administration: text += "administrators"
      case .metrics: text += "monitoring systems"
      }
      // Without paths, the service manager passed the sockets.
      if position < paths.count { text += " at " + paths[position] }
    }
    return text
  }
}
