import CWarmstartLinux

/// The users and groups that this system knows by name.
package enum UserDatabase {
  /// The id of a user; nil for an unknown name.
  ///
  /// See `getpwnam(3)`.
  package static func userID(named name: String) -> UInt32? {
    unsafe id(named: name) { unsafe clinux_user_id($0) }
  }

  /// The id of a group; nil for an unknown name.
  ///
  /// See `getgrnam(3)`.
  package static func groupID(named name: String) -> UInt32? {
    unsafe id(named: name) { unsafe clinux_group_id($0) }
  }

  /// The name of a user; nil if the system knows none.
  ///
  /// See `getpwuid(3)`.
  package static func userName(of id: UInt32) -> String? {
    unsafe clinux_user_name(id).map { unsafe String(cString: $0) }
  }

  /// The name of a group; nil if the system knows none.
  ///
  /// See `getgrgid(3)`.
  package static func groupName(of id: UInt32) -> String? {
    unsafe clinux_group_name(id).map { unsafe String(cString: $0) }
  }

  private static func id(
    named name: String, _ find: (UnsafePointer<CChar>) -> Int64
  ) -> UInt32? {
    // A C string would end at the NUL.
    guard !name.utf8.contains(0) else { return nil }
    return unsafe UInt32(exactly: name.withCString { unsafe find($0) })
  }
}
