package import WarmstartTensorModel

/// One tensor, or a part of one, at one alignment in an arena: the unit that clients share.
package struct Piece: Sendable, Hashable {
  /// The alignment of every piece in its arena, in bytes: what TensorFlow, JAX and DLPack need.
  package static let alignment = 64

  /// The position in the catalog.
  package let tensor: Int
  /// The slice that is cut out; nil for the whole tensor.
  package let slice: TensorSlice?
  /// The rows or columns that are gathered, from the whole tensor.
  package let gather: Gather?
  /// How the elements of the piece differ from the stored ones.
  package let view: View
  /// A power of two, at least `Piece.alignment`.
  package let alignment: Int

  /// The memory of the gathered indices and of the view's axes, in bytes, which lasts as long as
  /// the piece.
  package var listByteCount: Int {
    let axes = view.axes.isEmpty ? 0 : 48 + 8 * view.axes.count
    return axes + (gather.map { 8 * $0.indexCount + 100 * $0.axes.count } ?? 0)
  }
}

extension Checkpoint {
  /// The shape of a tensor, or of a slice of it.
  package func shape(of tensor: Int, _ slice: TensorSlice?) -> Shape {
    slice?.shape ?? catalog.shape(tensor)
  }

  /// The shape of a piece, with its axes in the tensor's order.
  package func shape(of piece: Piece) -> Shape {
    guard let gather = piece.gather else { return shape(of: piece.tensor, piece.slice) }
    return Shape(gather.lengths(from: catalog.lengths(piece.tensor)))
  }

  /// The type of a piece's elements.
  func dtype(of piece: Piece) -> DataType { piece.view.dtype ?? catalog.dtype(piece.tensor) }

  /// The length of a piece in bytes; nil for strings, whose lengths must be read, and from 2^63 on.
  package func byteCount(of piece: Piece) -> Int? {
    dtype(of: piece).byteCount.flatMap { shape(of: piece).byteCount(ofWidth: $0) }
  }

  /// The stored runs that a piece takes bytes from, by position in `stored`.
  package func runs(of piece: Piece) -> [Int] {
    guard let gather = piece.gather else { return runs(of: piece.tensor, piece.slice) }
    return gather.box(of: catalog.lengths(piece.tensor)).map { runs(of: piece.tensor, $0) } ?? []
  }

  /// The stored runs that a tensor or a slice of it takes bytes from, by position in `stored`.
  package func runs(of tensor: Int, _ slice: TensorSlice?) -> [Int] {
    let range = storedRange(tensor)
    guard let slice, range.count > 1 else { return Array(range) }
    let slices = catalog.slices(tensor)
    guard let index = sliceIndexes[tensor] else {
      return zip(range, slices).filter { slice.intersects($1) }.map { $0.0 }
    }
    return index.candidates(for: slice)
      .filter { slice.intersects(slices[$0]) }
      .map { range.lowerBound + $0 }
      .sorted()
  }

  /// The box that a stored run of a tensor covers.
  func box(ofRun run: Int, of tensor: Int) -> TensorSlice {
    let slices = catalog.slices(tensor)
    guard !slices.isEmpty else { return TensorSlice(whole: catalog.shape(tensor)) }
    return slices[run - storedRange(tensor).lowerBound]
  }

}
