extension Resolution {
  /// How a request departs from the rules of `Resolution.resolve`.
  package struct Options: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// A variable whose tensor the checkpoint lacks is skipped and reported.
    ///
    /// The map goes on as if it had not matched the variable. Without the option that is
    /// TENSOR_NOT_FOUND, as in TensorFlow.
    package static let skipMissing = Options(rawValue: 1 << 0)
    /// A variable whose tensor has another shape is skipped and reported.
    ///
    /// Without the option that is SHAPE_MISMATCH, as in TensorFlow; another dtype is DTYPE_MISMATCH
    /// with it, too.
    package static let skipMismatched = Options(rawValue: 1 << 1)
    /// A pair that matches no variable is no error, nor is a map that assigns nothing, as in
    /// TensorFlow.
    package static let lenient = Options(rawValue: 1 << 2)
    /// A variable that no pair matches is an error.
    package static let requireAll = Options(rawValue: 1 << 3)
    /// A variable of another floating-point type than its tensor gets its numbers, rounded.
    ///
    /// Without the option that is DTYPE_MISMATCH, as in TensorFlow.
    package static let cast = Options(rawValue: 1 << 4)
  }
}
