import WarmstartKernel
import WarmstartTensorModel

/// How the stored numbers of a tensor become those of a piece: as they are, with their bytes
/// reversed, or cast.
struct NumberForm {
  private enum Way {
    case plain
    /// The bytes of each number are reversed; a number has this many bytes.
    case reversed(Int)
    case cast(from: FloatFormat, to: FloatFormat, isReversed: Bool)
  }

  /// The bytes of a stored element.
  let width: Int
  /// The bytes of an element of the piece.
  let targetWidth: Int
  private let way: Way

  /// Makes the form of a piece of numbers; nil for strings.
  init?(of piece: Piece, in checkpoint: Checkpoint) {
    let stored = checkpoint.catalog.dtype(piece.tensor)
    guard let width = stored.byteCount, let targetWidth = checkpoint.dtype(of: piece).byteCount
    else { return nil }
    self.width = width
    self.targetWidth = targetWidth
    let swapped = checkpoint.isBigEndian(piece.tensor) ? stored.swappedByteCount ?? 1 : 1
    if let dtype = piece.view.dtype, let from = FloatFormat(stored), let to = FloatFormat(dtype) {
      way = .cast(from: from, to: to, isReversed: swapped > 1)
    } else {
      way = swapped > 1 ? .reversed(swapped) : .plain
    }
  }

  /// Whether numbers take as many bytes as before, so that they may be read into their place and
  /// finished there.
  var isInPlace: Bool { if case .cast = way { false } else { true } }

  /// The bytes that stored bytes become, which must be whole elements if the form casts.
  func targetByteCount(_ byteCount: Int) -> Int {
    isInPlace ? byteCount : byteCount / width * targetWidth
  }

  /// Puts stored bytes into a piece, which must be whole elements if the form casts.
  func put(
    _ source: RawSpan, from sourceOffset: Int, to target: inout MutableRawSpan, at offset: Int,
    count: Int
  ) {
    putRows(
      source, from: sourceOffset, step: 0, to: &target, at: offset, step: 0, byteCount: count,
      count: 1)
  }

  /// Puts rows of one length into a piece, each a step behind the one before.
  func putRows(
    _ source: RawSpan, from sourceOffset: Int, step sourceStep: Int,
    to target: inout MutableRawSpan, at offset: Int, step: Int, byteCount: Int, count: Int
  ) {
    switch way {
    case .plain:
      target.copyRows(
        source, from: sourceOffset, step: sourceStep, to: offset, step: step, byteCount: byteCount,
        count: count)
    case .reversed(let width):
      target.reverseRows(
        source, from: sourceOffset, step: sourceStep, to: offset, step: step, byteCount: byteCount,
        width: width, count: count)
    case .cast(let from, let to, let isReversed):
      target.castRows(
        source, from: sourceOffset, step: sourceStep, from, isReversed: isReversed, to: offset,
        step: step, to, rowCount: byteCount / width, count: count)
    }
  }

  /// Puts rows of elements into a piece that has their columns as rows.
  ///
  /// They go in tiles that fit the fastest cache: each write of a single element to a place far from
  /// the one before would wait for memory.
  ///
  /// - Parameters:
  ///   - sourceRowStep: The bytes from one row to the next; the elements of a row are dense.
  ///   - rowStep: The bytes from an element of the target to that of the next row.
  ///   - columnStep: The bytes from an element of the target to that of the next column.
  func putTransposed(
    _ source: RawSpan, from sourceOffset: Int, rowStep sourceRowStep: Int,
    to target: inout MutableRawSpan, at offset: Int, rowStep: Int, columnStep: Int, rowCount: Int,
    columnCount: Int
  ) {
    let (tileRows, tileColumns) = (min(rowCount, 64), min(columnCount, max(1, 128 / width)))
    var tile: [UInt8] = Array(repeating: 0, count: tileRows * tileColumns * targetWidth)
    for row in stride(from: 0, to: rowCount, by: tileRows) {
      let rows = min(tileRows, rowCount - row)
      for column in stride(from: 0, to: columnCount, by: tileColumns) {
        let columns = min(tileColumns, columnCount - column)
        tile.write(0..<rows * columns * targetWidth) { bytes in
          putRows(
            source, from: sourceOffset + row * sourceRowStep + column * width, step: sourceRowStep,
            to: &bytes, at: 0, step: columns * targetWidth, byteCount: columns * width, count: rows)
        }
        for next in 0..<columns {
          target.copyRows(
            tile.rawSpan, from: next * targetWidth, step: columns * targetWidth,
            to: offset + row * rowStep + (column + next) * columnStep, step: rowStep,
            byteCount: targetWidth, count: rows)
        }
      }
    }
  }

  /// Finishes bytes that were read into their place.
  func finish(_ range: Range<Int>, in target: inout MutableRawSpan) {
    guard case .reversed(let width) = way else { return }
    target.reverseBytes(in: range, width: width)
  }
}

extension FloatFormat {
  /// The format of a type's elements; nil for a type that is not cast.
  fileprivate init?(_ dtype: DataType) {
    switch dtype {
    case .float16: self = .float16
    case .bfloat16: self = .bfloat16
    case .float32: self = .float32
    case .float64: self = .float64
    default: return nil
    }
  }
}
