import WarmstartTensorModel

/// A resolver written straight from the description of TensorFlow's behaviour, with no care for
/// speed.
///
/// Names are arrays of code points here, as Python's strings are; tensors are small enough to be
/// looked at element by element.
struct Reference {
  typealias Text = [Unicode.Scalar]

  struct Refusal: Error {
    var reason: Reason
    var tensor: Name?
  }

  struct Tensor {
    var dtype: DataType
    var shape: [Int]
    var slices: [TensorSlice]
  }

  var tensors: [Text: Tensor] = [:]
  var variables: [Variable] = []
  /// The tensor of each variable, and whether it is a slice.
  private var assigned: [Int: (tensor: Text, isSlice: Bool)] = [:]

  init(_ tensors: [(name: Name, dtype: DataType, shape: Shape, slices: [TensorSlice])]) {
    for tensor in tensors {
      self.tensors[Self.text(tensor.name)] = Tensor(
        dtype: tensor.dtype, shape: Array(tensor.shape.lengths), slices: tensor.slices)
    }
  }

  static func text(_ name: Name) -> Text {
    Array(String(decoding: name.bytes, as: UTF8.self).unicodeScalars)
  }

  private static func name(_ text: Text) -> Name {
    var string = String.UnicodeScalarView()
    string.append(contentsOf: text)
    return Name(String(string))
  }

  mutating func resolve(_ map: AssignmentMap) throws(Refusal) -> [String] {
    let sorted = map.pairs.enumerated().sorted {
      let (left, right) = (Self.text($0.element.key), Self.text($1.element.key))
      if left == right { return $0.offset < $1.offset }
      return left.lexicographicallyPrecedes(right)
    }
    for (_, pair) in sorted { try resolve(Self.text(pair.key), pair.target) }
    var lines: [String] = []
    for index in assigned.keys.sorted() { lines.append(try read(index)) }
    return lines
  }

  private var store: [Text: Int] {
    var store: [Text: Int] = [:]
    for (index, variable) in variables.enumerated() where variable.isInStore {
      store[Self.text(variable.name)] = index
    }
    return store
  }

  private func found(_ name: Text) -> (list: [Int], isList: Bool)? {
    if let index = store[name] { return ([index], false) }
    var list: [Int] = []
    while let index = store[name + Array("/part_\(list.count)".unicodeScalars)] {
      list.append(index)
    }
    return list.isEmpty ? nil : (list, true)
  }

  private mutating func resolve(
    _ key: Text, _ target: AssignmentMap.Target
  ) throws(Refusal) {
    func declared(_ name: Name) -> [Int] { variables.indices.filter { variables[$0].name == name } }
    switch target {
    case .variable(let name): try direct(key, declared(name), isList: false)
    case .variables(let names): try direct(key, names.flatMap(declared), isList: true)
    case .name(let name):
      if let found = found(Self.text(name)) {
        try direct(key, found.list, isList: found.isList)
      } else {
        try scope(key, Self.text(name))
      }
    }
  }

  private mutating func direct(_ key: Text, _ list: [Int], isList: Bool) throws(Refusal) {
    guard let tensor = tensors[key] else {
      throw Refusal(reason: .tensorNotFound, tensor: Self.name(key))
    }
    if !isList, let shape = variables[list[0]].shape, !shape.accepts(Shape(tensor.shape)) {
      throw Refusal(reason: .shapeMismatch, tensor: Self.name(key))
    }
    try assign(key, list, isList)
  }

  private mutating func assign(_ tensor: Text, _ list: [Int], _ isList: Bool) throws(Refusal) {
    if isList {
      let owners = list.map { variables[$0].partition?.fullName }
      for owner in owners where owner == nil || owner != owners[0] {
        throw Refusal(reason: .slicesDiffer, tensor: nil)
      }
    }
    for index in list { assigned[index] = (tensor, isList) }
  }

  private mutating func scope(_ key: Text, _ name: Text) throws(Refusal) {
    guard key.last == "/" else { throw Refusal(reason: .scopeOnly, tensor: nil) }
    let scope = name.lastIndex(of: "/").map { Array(name[..<$0]) } ?? []
    var members: Set<Text> = []
    for name in store.keys where scope.isEmpty || name.starts(with: scope + ["/"]) {
      let mark = Array("/part_".unicodeScalars)
      let cut = name.indices.first { name[$0...].starts(with: mark) } ?? name.endIndex
      members.insert(Array(name[..<cut]))
    }
    for member in members.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      var tensor = Array(member.dropFirst(scope.count))
      if name != ["/"] { tensor = Array(tensor.dropFirst()) }
      if key != ["/"] { tensor = key + tensor }
      if tensor.last == "/" { tensor.removeLast() }
      guard tensors[tensor] != nil else {
        throw Refusal(reason: .tensorNotFound, tensor: Self.name(tensor))
      }
      guard let found = found(member) else { throw Refusal(reason: .invalidRequest, tensor: nil) }
      try assign(tensor, found.list, found.isList)
    }
  }

  private func read(_ index: Int) throws(Refusal) -> String {
    let variable = variables[index]
    guard let (text, isSlice) = assigned[index], let tensor = tensors[text] else { return "?" }
    func refuse(_ reason: Reason) -> Refusal { Refusal(reason: reason, tensor: Self.name(text)) }
    guard variable.dtype == tensor.dtype else { throw refuse(.dtypeMismatch) }
    var box = TensorSlice(whole: Shape(tensor.shape))
    if isSlice, let partition = variable.partition, let shape = variable.shape {
      box = TensorSlice(starts: partition.offset, counts: Array(shape.lengths))
      guard !box.counts.contains(0), box.fits(partition.fullShape),
        Array(partition.fullShape.lengths) == tensor.shape
      else { throw refuse(.shapeMismatch) }
    } else if let shape = variable.shape, !shape.accepts(Shape(tensor.shape)) {
      throw refuse(.shapeMismatch)
    }
    if !tensor.slices.isEmpty {
      var cells: [[Int]] = []
      for slice in tensor.slices {
        guard slice.fits(Shape(tensor.shape)) else { throw refuse(.corrupt) }
      }
      for slice in tensor.slices { cells += Self.cells(of: slice) }
      guard Set(cells).count == cells.count else { throw refuse(.slicesOverlap) }
      guard Set(cells).isSuperset(of: Self.cells(of: box)) else { throw refuse(.slicesIncomplete) }
    }
    let slice = box == TensorSlice(whole: Shape(tensor.shape)) ? "" : "@\(box)"
    return "\(variable.name)=\(Self.name(text))\(slice)"
  }

  private static func cells(of slice: TensorSlice) -> [[Int]] {
    zip(slice.starts, slice.counts).reduce([[]]) { cells, extent in
      cells.flatMap { cell in (extent.0..<extent.0 + extent.1).map { cell + [$0] } }
    }
  }
}
