// swift-tools-version: 6.2

import PackageDescription

// A package of its own, so that nothing else is built with these flags: all code here counts the
// branches it takes, for libFuzzer, and checks each access to memory, optimised all the same.
// `Sources` is a link to the repository's: a package that depended on that one would not see what is
// `package` there.
let swift: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .unsafeFlags(["-sanitize=fuzzer,address"]),
]
let c: [CSetting] = [.unsafeFlags(["-fsanitize=fuzzer-no-link,address"])]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

func target(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swift)
}

let package = Package(
  name: "fuzz",
  dependencies: [.package(url: "https://github.com/apple/swift-system", from: "1.8.0")],
  targets: [
    .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c"),
    .systemLibrary(name: "CSnappy", pkgConfig: "snappy"),
    .systemLibrary(name: "CISAL", pkgConfig: "libisal"),
    .target(name: "CLinux", cSettings: c),
    .target(name: "CMessages", dependencies: ["CProtobufC"], cSettings: c),
    target("Kernel", ["CLinux", system]),
    target("Table", ["CISAL", "CSnappy"]),
    target("TensorModel", []),
    target("Messages", ["CMessages", "TensorModel"]),
    target("Checkpoint", ["Kernel", "Table", "TensorModel", "Messages", system]),
    target("Locate", ["Kernel", system]),
    target("Wire", ["Kernel", "TensorModel", "Messages", system]),
    .systemLibrary(name: "CFuzzer", path: "CFuzzer"),
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "CFuzzer", "Checkpoint", "Locate", "Table", "Wire", "Messages", "Kernel", "TensorModel",
        system,
      ],
      path: "Program", swiftSettings: swift,
      // The gold linker, which is the default, crashes on instrumented Swift.
      linkerSettings: [
        .unsafeFlags(["-sanitize=fuzzer,address", "-Xclang-linker", "-fuse-ld=lld"])
      ]),
  ]
)
