import WarmstartTensorModel

/// The tensors that a map was resolved to, made when they are asked for: there may be 100,000.
public struct Tensors: Sendable, RandomAccessCollection {
  private let answer: Answer

  init(_ answer: Answer) {
    self.answer = answer
  }

  /// The first position.
  public var startIndex: Int { 0 }

  /// The number of tensors.
  public var endIndex: Int { answer.handles.count }

  /// The tensor of the variable at a position among those that got bytes.
  public subscript(position: Int) -> Tensor {
    precondition(position >= 0 && position < endIndex, "position \(position) of \(endIndex)")
    return Tensor(answer, position)
  }

  /// Finds the tensor of a variable.
  subscript(variable: Name) -> Tensor? {
    answer.position(of: variable).map { Tensor(answer, $0) }
  }
}
