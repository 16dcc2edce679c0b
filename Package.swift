// swift-tools-version: 6.2

import PackageDescription

// Every module's name starts with the project's stem, because SwiftPM refuses two modules of one
// name in a build, and a trainer may have its own module `Checkpoint` or `Server`. Folders have no
// stem.

/// The name of a folder's module: `WarmstartStore` for `Store`, `CWarmstartLinux` for `CLinux`.
func module(_ folder: String) -> String {
  let isC = folder.hasPrefix("C") && folder.dropFirst().first?.isUppercase == true
  return isC ? "CWarmstart\(folder.dropFirst())" : "Warmstart\(folder)"
}

/// Dependencies on the modules of folders, and on others.
func modules(_ folders: [String], _ others: [Target.Dependency] = []) -> [Target.Dependency] {
  folders.map { .byName(name: module($0)) } + others
}

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

/// A library of the system.
///
/// It has no pkg-config name, because the linker would then search the system's folder before the
/// one in which make puts static libraries.
func systemLibrary(_ folder: String) -> Target {
  .systemLibrary(name: module(folder), path: "Sources/\(folder)")
}

func target(_ folder: String, _ folders: [String], _ others: [Target.Dependency] = []) -> Target {
  .target(
    name: module(folder), dependencies: modules(folders, others), path: "Sources/\(folder)",
    swiftSettings: strict)
}

func program(_ name: String, _ folders: [String], _ others: [Target.Dependency] = []) -> Target {
  .executableTarget(
    name: name, dependencies: modules(folders, others), path: "Sources/\(name)",
    swiftSettings: strict)
}

// MARK: Tests

/// Code that tests share.
///
/// It is compiled less strictly, because it is not shipped, and always optimized, because tests
/// spend much of their time in writing checkpoints.
func support(_ folder: String, _ folders: [String], _ others: [Target.Dependency] = []) -> Target {
  .target(
    name: module(folder), dependencies: modules(folders, others), path: "Tests/Support/\(folder)",
    swiftSettings: [.swiftLanguageMode(.v6), .unsafeFlags(["-O"])])
}

/// The tests of a module.
func unitTests(_ folder: String, _ folders: [String], _ programs: [String] = []) -> Target {
  tests("Unit", folder, folders, programs)
}

/// The tests of whole programs.
func systemTests(_ folder: String, _ folders: [String], _ programs: [String] = []) -> Target {
  tests("System", folder, folders, programs)
}

private func tests(
  _ kind: String, _ folder: String, _ folders: [String], _ programs: [String]
) -> Target {
  .testTarget(
    name: "\(module(folder))Tests",
    dependencies: modules(
      folders + ["TestSupport"], programs.map { .byName(name: $0) } + [system]),
    path: "Tests/\(kind)/\(folder)", swiftSettings: strict)
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
    systemLibrary("CProtobufC"),
    systemLibrary("CSystemd"),
    systemLibrary("CSnappy"),
    systemLibrary("CISAL"),
    systemLibrary("CGcrypt"),
    .target(name: module("CLinux"), path: "Sources/CLinux"),
    .target(
      name: module("CMessages"), dependencies: modules(["CProtobufC"]), path: "Sources/CMessages"),

    // Tests/check-imports compares these dependencies with the table of the design page.
    target("Kernel", ["CLinux"], [system]),
    target("Table", ["CGcrypt", "CISAL", "CSnappy", "TensorModel"]),
    target("TensorModel", []),
    target("Protobuf", ["CProtobufC"]),
    target("Messages", ["CMessages", "CProtobufC", "Protobuf", "TensorModel"]),
    target("Configuration", ["Kernel", "TensorModel"], [system]),
    target("Systemd", ["CSystemd", "Kernel"], [system]),
    target("Locate", ["Kernel", "TensorModel"], [system]),
    target("Checkpoint", ["Kernel", "Table", "TensorModel", "Protobuf"], [system]),
    target("Wire", ["Kernel", "Protobuf"], [system]),
    target("Store", ["Checkpoint", "Configuration", "Kernel", "TensorModel"], [system]),
    target(
      "Server",
      [
        "Store", "Checkpoint", "Wire", "Messages", "Protobuf", "Systemd", "Kernel", "TensorModel",
      ], [system]),
    target(
      "Client", ["Wire", "Messages", "Protobuf", "Locate", "Kernel", "TensorModel"], [system]),
    program(
      "warmstartd", ["Server", "Store", "Configuration", "Systemd", "Kernel"],
      [system]),
    program(
      "warmstartctl", ["Client", "Messages", "Protobuf", "TensorModel", "Kernel"],
      [system, arguments]),

    support("TestSupport", ["Kernel"], [system]),
    support("Digest", []),
    support(
      "Harness",
      [
        "TestSupport", "Server", "Store", "Systemd", "Wire", "Messages", "Protobuf", "TensorModel",
        "Kernel", "CLinux",
      ],
      [system]),
    .executableTarget(
      name: "warmstart-activated", dependencies: modules(["Systemd", "Kernel"], [system]),
      path: "Tests/Support/Activated", swiftSettings: strict),
    .executableTarget(
      name: "warmstart-demo-trainer", dependencies: modules(["Client", "Digest"], [system]),
      path: "Tests/System/Demo/Trainer", swiftSettings: strict),
    .target(
      name: module("CFloor"), path: "Tests/Benchmarks/Floor",
      linkerSettings: [.linkedLibrary("isal")]),
    .executableTarget(
      name: "warmstart-benchmarks",
      dependencies: modules(
        [
          "Client", "Wire", "Messages", "Protobuf", "Kernel", "TensorModel", "TestSupport",
          "CFloor",
        ],
        [system]),
      path: "Tests/Benchmarks/Program", swiftSettings: [.swiftLanguageMode(.v6)]),

    unitTests("Kernel", ["Kernel"]),
    unitTests("Table", ["Table", "Kernel"]),
    unitTests("TensorModel", ["TensorModel"]),
    unitTests("Configuration", ["Configuration", "Kernel"]),
    unitTests("Systemd", ["Harness", "Systemd", "Kernel"], ["warmstart-activated"]),
    unitTests("Locate", ["Locate", "Kernel", "TensorModel"]),
    unitTests("Messages", ["Harness", "Wire", "Messages", "Protobuf", "Kernel", "TensorModel"]),
    unitTests("Wire", ["Harness", "Wire", "Messages", "Protobuf", "Kernel"]),
    unitTests("Checkpoint", ["Checkpoint", "Table", "Kernel", "TensorModel", "Protobuf"]),
    unitTests("Store", ["Store", "Configuration", "Checkpoint", "Kernel", "Table", "TensorModel"]),
    unitTests(
      "Server",
      [
        "Harness", "Server", "Store", "Checkpoint", "Systemd", "Wire", "Messages", "Protobuf",
        "Kernel", "TensorModel",
      ]),
    systemTests("Transcript", ["Harness", "Server", "Store", "Client", "Kernel", "TensorModel"]),
    systemTests(
      "Client", ["Client", "Messages", "TensorModel", "Digest"], ["warmstartd", "warmstartctl"]),
    systemTests(
      "Hostile", ["Harness", "Client", "Messages", "Kernel", "TensorModel"],
      ["warmstartd", "warmstartctl"]),
    systemTests("Restart", ["Harness", "Client", "Kernel", "TensorModel"], ["warmstartd"]),
    systemTests("Ctl", ["TensorModel", "Kernel"], ["warmstartctl", "warmstartd"]),
  ]
)

// For `make sanitize`: these modules have no threads of their own and no memory that Swift does not
// check, and building their tests takes long. Other modules' tests call them, too.
if Context.environment["WARMSTART_SANITIZED"] != nil {
  let unsanitized = ["Checkpoint", "Configuration", "Ctl", "Locate", "Table", "TensorModel"]
  package.targets.removeAll { target in
    target.isTest && unsanitized.contains { target.name == "\(module($0))Tests" }
  }
}
