/// Recognizes the files that Git LFS leaves in place of those that it has not fetched.
///
/// See Git LFS's specification, "The Pointer": text of less than 1024 bytes.
package enum GitLFS {
  /// The least size that no pointer has, in bytes.
  package static let pointerLimit = 1024

  /// Whether a file that begins with these bytes is a pointer.
  package static func isPointer(_ head: [UInt8]) -> Bool {
    head.starts(with: "version https://git-lfs.github.com/spec/".utf8)
  }
}
