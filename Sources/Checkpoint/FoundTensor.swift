import WarmstartTensorModel

/// A tensor as a format's reader found it.
struct FoundTensor {
  var name: Name
  var dtype: DataType
  var shape: [Int]
  /// Where the first element is in the file; 0 for a tensor without elements.
  var offset: Int
  /// The length of all elements, in bytes.
  var byteCount: Int
  /// The steps of the axes in elements; empty if the elements are in C order without gaps.
  var strides: [Int] = []
  /// Whether the elements are stored in the byte order that is not this machine's.
  var isBigEndian = false
}
