// How TensorFlow names the partitions of a variable: `<variable>/part_<number>`.

extension Span<UInt8> {
  /// The offset of the first `/part_`, or nil.
  var partMark: Int? {
    // Looks at the byte where the mark might end: each byte says how far the next end may be.
    var end = 5
    while end < count {
      switch self[end] {
      case UInt8(ascii: "_"):
        // The word's upper bytes lie behind the mark.
        if word(at: end - 5) & 0xffff_ffff_ffff == 0x5f74_7261_702f { return end - 5 }
        end += 6
      case UInt8(ascii: "/"): end += 5
      case UInt8(ascii: "p"): end += 4
      case UInt8(ascii: "a"): end += 3
      case UInt8(ascii: "r"): end += 2
      case UInt8(ascii: "t"): end += 1
      default: end += 6
      }
    }
    return nil
  }
}

extension Name {
  /// Where `/part_` first occurs, or nil.
  var partMark: Int? { bytes.span.partMark.map { bytes.startIndex + $0 } }

  /// The name of the partition of this number.
  func part(_ number: Int) -> Name {
    Name(bytes + Array("/part_\(number)".utf8))
  }

  /// The number of a partition whose name begins with `<owner>/part_`, if it is spelled as `part`
  /// does.
  func partNumber(after ownerByteCount: Int) -> Int? {
    let digits = bytes.dropFirst(ownerByteCount + "/part_".utf8.count)
    let zero = UInt8(ascii: "0")
    guard !digits.isEmpty, digits.count == 1 || digits.first != zero, digits.count <= 9 else {
      return nil
    }
    var number = 0
    for digit in digits {
      guard digit >= zero, digit <= zero + 9 else { return nil }
      number = number * 10 + Int(digit - zero)
    }
    return number
  }
}
