/// Addresses at which the bytes of tensors begin.
package enum Alignment {
  /// The greatest that a client may ask for, in bytes: a page.
  package static let maximum = 4096
}
