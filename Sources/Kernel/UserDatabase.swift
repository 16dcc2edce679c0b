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
  /// It may ask a server, and wait for it. See `getpwuid(3)`.
  package static func userName(of id: UInt32) -> String? {
    unsafe UserDatabase.name { name in unsafe clinux_user_name(id, name.baseAddress, name.count) }
  }

  /// The name of a group; nil if the system knows none.
  ///
  /// It may ask a server, and wait for it. See `getgrgid(3)`.
  package static func groupName(of id: UInt32) -> String? {
    unsafe UserDatabase.name { name in unsafe clinux_group_name(id, name.baseAddress, name.count) }
  }

  /// The most bytes of a name, with the zero at its end: LOGIN_NAME_MAX.
  private static let nameByteCount = 256

  private static func name(_ find: (UnsafeMutableBufferPointer<CChar>) -> CInt) -> String? {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: nameByteCount) { name in
      guard unsafe find(name) >= 0, let start = name.baseAddress else { return nil }
      return unsafe String(cString: start)
    }
  }

  private static func id(
    named name: String, _ find: (UnsafePointer<CChar>) -> Int64
  ) -> UInt32? {
    // A C string would end at the NUL.
    guard !name.utf8.contains(0) else { return nil }
    return unsafe UInt32(exactly: name.withCString { unsafe find($0) })
  }
}
