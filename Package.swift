// swift-tools-version: 6.2

import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let arguments: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")

/// A target of ours; the arrows of the design page are the dependency lists below.
func target(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: dependencies + ["TestSupport"], swiftSettings: strict)
}

let package = Package(
  name: "warmstart",
  products: [
    .library(name: "WarmstartClient", targets: ["WarmstartClient"]),
    .executable(name: "warmstartd", targets: ["warmstartd"]),
    .executable(name: "warmstartctl", targets: ["warmstartctl"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
  ],
  targets: [
    // Found where the system keeps libraries: pkg-config would put that place before the one where
    // make offers static ones.
    .systemLibrary(name: "CProtobufC"),
    .systemLibrary(name: "CSystemd"),
    .systemLibrary(name: "CSnappy"),
    .systemLibrary(name: "CISAL"),
    .target(name: "CLinux"),
    .target(name: "CMessages", dependencies: ["CProtobufC"]),

    target("Kernel", ["CLinux", system]),
    target("Table", ["CISAL", "CSnappy"]),
    target("TensorModel", []),
    target("Messages", ["CMessages", "TensorModel"]),
    target("Systemd", ["CSystemd", "Kernel", system]),
    target("Locate", ["Kernel", "TensorModel", system]),
    target("Checkpoint", ["Kernel", "Table", "TensorModel", "Messages", system]),
    target("Wire", ["Kernel", "TensorModel", "Messages", system]),
    target("Store", ["Checkpoint", "Kernel", "TensorModel", system]),
    target("Server", ["Store", "Checkpoint", "Wire", "Messages", "Kernel", "TensorModel", system]),
    target("WarmstartClient", ["Wire", "Messages", "Locate", "Kernel", "TensorModel", system]),
    .executableTarget(
      name: "warmstartd", dependencies: ["Server", "Store", "Systemd", "Kernel", system],
      swiftSettings: strict),
    .executableTarget(
      name: "warmstartctl",
      dependencies: ["WarmstartClient", "TensorModel", "Kernel", system, arguments],
      swiftSettings: strict),
    .executableTarget(
      name: "demo-trainer", dependencies: ["WarmstartClient", "Digest", system],
      path: "Tests/Demo/Trainer",
      swiftSettings: strict),

    .target(name: "Digest", path: "Tests/Digest", swiftSettings: [.swiftLanguageMode(.v6)]),
    .target(
      name: "TestSupport", dependencies: ["Kernel", system], path: "Tests/Support",
      swiftSettings: [.swiftLanguageMode(.v6)]),
    .target(
      name: "Harness",
      dependencies: [
        "TestSupport", "Server", "Store", "Wire", "Messages", "Kernel", "CLinux", system,
      ],
      path: "Tests/Harness", swiftSettings: [.swiftLanguageMode(.v6)]),
    .target(
      name: "CFloor", path: "Tests/Benchmarks/Floor", linkerSettings: [.linkedLibrary("isal")]),
    .executableTarget(
      name: "benchmarks",
      dependencies: [
        "WarmstartClient", "Wire", "Messages", "Kernel", "TensorModel", "TestSupport", "CFloor",
        system,
      ],
      path: "Tests/Benchmarks/Program", swiftSettings: [.swiftLanguageMode(.v6)]),
    tests("Table", ["Table", "Kernel"]),
    tests("TensorModel", ["TensorModel"]),
    .executableTarget(
      name: "activated", dependencies: ["Systemd", "Kernel", system], path: "Tests/Activated",
      swiftSettings: strict),
    tests("Systemd", ["Harness", "Systemd", "Kernel", "activated", system]),
    tests("Locate", ["Locate", "Messages", "Kernel", system]),
    tests("Messages", ["Harness", "Messages", "Kernel", "TensorModel"]),
    tests("Wire", ["Harness", "Wire", "Messages", "Kernel", system]),
    tests(
      "Server",
      [
        "Harness", "Server", "Store", "Checkpoint", "Wire", "Messages", "Kernel", "TensorModel",
        system,
      ]),
    tests(
      "Transcript", ["Harness", "Server", "WarmstartClient", "Kernel", "TensorModel", system]),
    tests("Kernel", ["Kernel", system]),
    tests("Checkpoint", ["Checkpoint", "Table", "Kernel", "TensorModel", system]),
    tests("Store", ["Store", "Checkpoint", "Kernel", "Table", "TensorModel", system]),
    tests(
      "WarmstartClient",
      [
        "WarmstartClient", "Messages", "TensorModel", "Digest", "warmstartd", "warmstartctl",
        system,
      ]),
    tests(
      "Hostile",
      [
        "Harness", "WarmstartClient", "Messages", "Kernel", "TensorModel", "warmstartd",
        "warmstartctl", system,
      ]),
    tests("warmstartctl", ["warmstartctl", "warmstartd", "TensorModel", "Kernel", system]),
  ]
)
