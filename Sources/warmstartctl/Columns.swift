import WarmstartTensorModel

/// A table for people, each column as wide as its widest cell.
struct Columns {
  /// The side to which a column's cells are flush.
  enum Side {
    case left
    case right
  }

  private let sides: [Side]
  private var rows: [[String]] = []

  /// Makes an empty table; columns of numbers read best flush right.
  init(_ sides: [Side]) {
    self.sides = sides
  }

  mutating func add(_ cells: [String]) {
    precondition(cells.count == sides.count)
    rows.append(cells.map(\.printable))
  }

  /// The rows as lines, without trailing blanks.
  var text: String {
    var widths = sides.map { _ in 0 }
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    var text = ""
    for row in rows {
      var line = ""
      for (column, cell) in row.enumerated() {
        let filling = String(repeating: " ", count: widths[column] - cell.count)
        if column > 0 { line += "  " }
        line += sides[column] == .left ? cell + filling : filling + cell
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
    return text
  }
}
