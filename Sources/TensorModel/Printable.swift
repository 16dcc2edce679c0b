extension Unicode.Scalar {
  /// Whether the character changes how a terminal shows the line around it, or shows nothing
  /// itself.
  ///
  /// Controls, line ends, direction marks and all else that Unicode calls a format character, and
  /// what is ignored where it cannot be shown: fillers, joiners, variation selectors, tags. Text
  /// from clients and files is shown with these escaped, in tables, messages, JSON and logs alike.
  package var isUnprintable: Bool {
    // Nearly all characters are like this, and to look up what kind one is takes long.
    if value >= 0x20 && value < 0x7f { return false }
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: return true
    default: return properties.isDefaultIgnorableCodePoint
    }
  }
}

extension String {
  /// The text for people: with unprintable characters as Swift escapes them, `\u{200E}`.
  package var printable: String {
    if utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return self }
    var text = ""
    for scalar in unicodeScalars {
      if scalar.isUnprintable {
        text += scalar.escaped(asASCII: true)
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}
