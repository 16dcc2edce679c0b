/// A number for each resource.
package struct Amounts: Sendable, Hashable {
  private var memory = 0
  private var messages = 0
  private var descriptors = 0
  private var filesInFlight = 0
  private var connections = 0

  package init(memory: Int = 0, descriptors: Int = 0) {
    self.memory = memory
    self.descriptors = descriptors
  }

  /// Makes amounts that are all the same.
  init(each amount: Int) {
    for resource in Resource.allCases { self[resource] = amount }
  }

  /// The amount of a resource.
  package subscript(resource: Resource) -> Int {
    get {
      switch resource {
      case .memory: memory
      case .messages: messages
      case .descriptors: descriptors
      case .filesInFlight: filesInFlight
      case .connections: connections
      }
    }
    set {
      switch resource {
      case .memory: memory = newValue
      case .messages: messages = newValue
      case .descriptors: descriptors = newValue
      case .filesInFlight: filesInFlight = newValue
      case .connections: connections = newValue
      }
    }
  }

  var isZero: Bool { self == Amounts() }

  mutating func add(_ other: Amounts) {
    for resource in Resource.allCases { self[resource] += other[resource] }
  }

  mutating func subtract(_ other: Amounts) {
    for resource in Resource.allCases { self[resource] -= other[resource] }
  }
}
