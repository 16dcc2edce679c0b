// swift-tools-version: 6.2

import PackageDescription

// A package of its own, so that nothing else is built with these flags: all code here counts the
// branches it takes, for libFuzzer, and checks each access to memory, optimised all the same.
// `Sources` is a link to the repository's: a package that depended on that one would not see what
// is `package` there.
let swift: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .unsafeFlags(["-sanitize=fuzzer,address"]),
]
let c: [CSetting] = [.unsafeFlags(["-fsanitize=fuzzer-no-link,address"])]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

/// The modules in folders, which have the project's stem, as in the repository's package.
func modules(_ folders: [String]) -> [Target.Dependency] {
  folders.map { .byName(name: "Warmstart\($0)") }
}

func target(_ folder: String, _ folders: [String], _ others: [Target.Dependency] = []) -> Target {
  .target(
    name: "Warmstart\(folder)", dependencies: modules(folders) + others,
    path: "Sources/\(folder)", swiftSettings: swift)
}

func systemLibrary(_ name: String, _ pkgConfig: String) -> Target {
  .systemLibrary(name: "CWarmstart\(name)", path: "Sources/C\(name)", pkgConfig: pkgConfig)
}

let package = Package(
  name: "fuzz",
  dependencies: [.package(url: "https://github.com/apple/swift-system", from: "1.8.0")],
  targets: [
    systemLibrary("ProtobufC", "libprotobuf-c"),
    systemLibrary("Snappy", "snappy"),
    systemLibrary("ISAL", "libisal"),
    systemLibrary("Gcrypt", "libgcrypt"),
    .target(name: "CWarmstartLinux", path: "Sources/CLinux", cSettings: c),
    .target(
      name: "CWarmstartMessages", dependencies: ["CWarmstartProtobufC"], path: "Sources/CMessages",
      cSettings: c),
    target("Kernel", [], ["CWarmstartLinux", system]),
    target("Table", ["TensorModel"], ["CWarmstartGcrypt", "CWarmstartISAL", "CWarmstartSnappy"]),
    target("TensorModel", []),
    target("Protobuf", [], ["CWarmstartProtobufC"]),
    target(
      "Messages", ["TensorModel", "Protobuf"], ["CWarmstartMessages", "CWarmstartProtobufC"]),
    target("Checkpoint", ["Kernel", "Table", "TensorModel", "Protobuf"], [system]),
    target("Locate", ["Kernel", "TensorModel"], [system]),
    target("Wire", ["Kernel", "Protobuf"], [system]),
    .systemLibrary(name: "CFuzzer", path: "CFuzzer"),
    .executableTarget(
      name: "fuzz",
      dependencies: ["CFuzzer", system]
        + modules([
          "Checkpoint", "Locate", "Table", "Wire", "Messages", "Protobuf", "Kernel", "TensorModel",
        ]),
      path: "Program", swiftSettings: swift,
      // The gold linker, which is the default, crashes on instrumented Swift.
      linkerSettings: [
        .unsafeFlags(["-sanitize=fuzzer,address", "-Xclang-linker", "-fuse-ld=lld"])
      ]),
  ]
)
