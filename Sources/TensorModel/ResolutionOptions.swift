extension Resolution {
  /// How a request departs from the rules of `Resolution.resolve`.
  package struct Options: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// A variable whose tensor the checkpoint lacks is skipped and reported: the map goes on as if it
    /// had not matched the variable. Without it that is TENSOR_NOT_FOUND, as in TensorFlow.
    package static let skipMissing = Options(rawValue: 1 << 0)
  }
}
