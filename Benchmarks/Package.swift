// swift-tools-version: 6.2
import PackageDescription

// Measurements, not promises: scripts/bench builds and runs this package; docs/performance.md explains the figures.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "Benchmarks",
  dependencies: [.package(name: "swift-lis", path: "..")],
  targets: [
    .target(name: "CAllocationCount", cSettings: [.unsafeFlags(["-O2"])]),
    .target(name: "CRingPair", cSettings: [.unsafeFlags(["-O2"])]),
    .executableTarget(
      name: "RingBench",
      dependencies: ["CAllocationCount", "CRingPair", .product(name: "VMBus", package: "swift-lis")],
      swiftSettings: settings),
    .executableTarget(
      name: "SwitchBench",
      dependencies: [
        "CAllocationCount", .product(name: "VirtualSwitch", package: "swift-lis"),
        .product(name: "HostSystem", package: "swift-lis"),
      ], swiftSettings: settings),
    .executableTarget(
      name: "NetworkBench",
      dependencies: [
        "CAllocationCount",
        .product(name: "VMBus", package: "swift-lis"),
        .product(name: "DeviceProtocols", package: "swift-lis"),
        .product(name: "ServiceProviders", package: "swift-lis"),
        .product(name: "ServiceClients", package: "swift-lis"),
        .product(name: "VirtualSwitch", package: "swift-lis"),
        .product(name: "HostSystem", package: "swift-lis"),
      ], swiftSettings: settings),
    .executableTarget(
      name: "DiskBench",
      dependencies: [
        .product(name: "VMBus", package: "swift-lis"), .product(name: "DeviceProtocols", package: "swift-lis"),
        .product(name: "VirtualDisks", package: "swift-lis"),
      ], swiftSettings: settings),
    .executableTarget(
      name: "StorageBench",
      dependencies: [
        "CAllocationCount",
        .product(name: "VMBus", package: "swift-lis"),
        .product(name: "DeviceProtocols", package: "swift-lis"),
        .product(name: "ServiceProviders", package: "swift-lis"),
        .product(name: "ServiceClients", package: "swift-lis"),
        .product(name: "VirtualDisks", package: "swift-lis"),
      ], swiftSettings: settings),
  ]
)
