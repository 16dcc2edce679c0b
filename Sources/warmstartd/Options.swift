/// The command line of the daemon.
struct Options {
  static let usage = """
    usage: warmstartd [--socket PATH] [--admin-socket PATH] [--metrics-socket PATH]
                      [--budget BYTES] [--linger SECONDS] [--max-connections N]
                      [--max-connections-per-user N]

    Keeps checkpoints warm for the training jobs of this machine. When its socket unit starts it,
    it takes its sockets from the service manager; started by hand, it listens at --socket.

      --socket PATH                  where clients connect (by hand only)
      --admin-socket PATH            where administrators connect (by hand only)
      --metrics-socket PATH          where monitoring systems ask for metrics over HTTP (by hand only)
      --budget BYTES                 memory for arenas and indexes, e.g. 8G; one user gets at most
                                     three quarters of it (default: half of the memory that the
                                     daemon may use)
      --linger SECONDS               how long unused checkpoints stay warm (default: 300)
      --max-connections N            connections of all users (default: 2048); administrators
                                     have some more
      --max-connections-per-user N   connections of one user (default: 1024)
      --version                      print the version and exit
    """

  /// An error in the command line, for people.
  struct UsageError: Error {
    let message: String
  }

  var socket: String?
  var adminSocket: String?
  var metricsSocket: String?
  var budget: Int?
  var lingerSeconds = 300
  var maxConnections: Int?
  var maxConnectionsPerUser: Int?
  var showsHelp = false
  var showsVersion = false

  init(_ arguments: some Sequence<String>) throws(UsageError) {
    var rest = Array(arguments)[...]
    while let argument = rest.popFirst() {
      let (name, attached) = Options.split(argument)
      switch name {
      case "--help", "-h": showsHelp = true
      case "--version": showsVersion = true
      default:
        guard Options.valued.contains(name) else {
          let kind = name.hasPrefix("-") ? "unknown option" : "unexpected argument"
          throw UsageError(message: "\(kind) \(name)")
        }
        guard let value = attached ?? rest.popFirst() else {
          throw UsageError(message: "\(name) needs a value")
        }
        try set(name, value)
      }
    }
  }

  private static let valued = [
    "--socket", "--admin-socket", "--metrics-socket", "--budget", "--linger",
    "--max-connections", "--max-connections-per-user",
  ]

  private mutating func set(_ name: String, _ value: String) throws(UsageError) {
    switch name {
    case "--socket": socket = try Options.path(name, value)
    case "--admin-socket": adminSocket = try Options.path(name, value)
    case "--metrics-socket": metricsSocket = try Options.path(name, value)
    case "--budget": budget = try Options.byteCount(name, value)
    case "--linger": lingerSeconds = try Options.number(name, value, atLeast: 0)
    case "--max-connections": maxConnections = try Options.number(name, value, atLeast: 1)
    default: maxConnectionsPerUser = try Options.number(name, value, atLeast: 1)
    }
  }

  private static func split(_ argument: String) -> (name: String, value: String?) {
    guard argument.hasPrefix("--"), let equals = argument.firstIndex(of: "=") else {
      return (argument, nil)
    }
    return (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
  }

  private static func path(_ name: String, _ text: String) throws(UsageError) -> String {
    guard !text.isEmpty else {
      throw UsageError(message: "\(name) needs a path, found an empty text")
    }
    return text
  }

  private static func number(
    _ name: String, _ text: String, atLeast minimum: Int
  ) throws(UsageError) -> Int {
    guard let number = Int(text), number >= minimum, number <= 1 << 31 else {
      throw UsageError(
        message: "\(name) needs a whole number of at least \(minimum), found \(text)")
    }
    return number
  }

  private static func byteCount(_ name: String, _ text: String) throws(UsageError) -> Int {
    let units: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40]
    let shift = text.last.flatMap { units[$0] }
    guard let number = Int(shift == nil ? text : String(text.dropLast())), number > 0,
      number <= Int.max >> (shift ?? 0)
    else {
      throw UsageError(message: "\(name) needs a number of bytes, e.g. 8G, found \(text)")
    }
    return number << (shift ?? 0)
  }
}
