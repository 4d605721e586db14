// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets, one file each, built and run by scripts/fuzz (libFuzzer with coverage, address sanitiser).
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "swift-lis", path: "..")],
  targets: [
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        .product(name: "VMBus", package: "swift-lis"),
        .product(name: "VMBusHost", package: "swift-lis"),
        .product(name: "VMBusGuest", package: "swift-lis"),
        .product(name: "BusWalk", package: "swift-lis"),
        .product(name: "DeviceProtocols", package: "swift-lis"),
        .product(name: "ServiceProviders", package: "swift-lis"),
        .product(name: "ServiceClients", package: "swift-lis"),
        .product(name: "LegacyDevices", package: "swift-lis"),
        .product(name: "StorageWalk", package: "swift-lis"),
        .product(name: "NetworkWalk", package: "swift-lis"),
        .product(name: "VirtualDisks", package: "swift-lis"),
        .product(name: "StoreDoubles", package: "swift-lis"),
        .product(name: "VirtualSwitch", package: "swift-lis"),
      ], swiftSettings: settings)
  ]
)
