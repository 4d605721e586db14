// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours: Swift 6 mode, warnings are errors, unsafe constructs are marked.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "swift-lis",
  products: [
    .executable(name: "lis", targets: ["lis"]),
    // For Benchmarks/ and Fuzz/, which are packages of their own.
    .library(name: "VMBus", targets: ["VMBus"]),
    .library(name: "VMBusHost", targets: ["VMBusHost"]),
    .library(name: "VMBusGuest", targets: ["VMBusGuest"]),
    .library(name: "BusWalk", targets: ["BusWalk"]),
    .library(name: "StorageWalk", targets: ["StorageWalk"]),
    .library(name: "NetworkWalk", targets: ["NetworkWalk"]),
    .library(name: "DeviceProtocols", targets: ["DeviceProtocols"]),
    .library(name: "ServiceProviders", targets: ["ServiceProviders"]),
    .library(name: "ServiceClients", targets: ["ServiceClients"]),
    .library(name: "LegacyDevices", targets: ["LegacyDevices"]),
    .library(name: "VirtualDisks", targets: ["VirtualDisks"]),
    .library(name: "StoreDoubles", targets: ["StoreDoubles"]),
    .library(name: "VirtualSwitch", targets: ["VirtualSwitch"]),
    .library(name: "HostSystem", targets: ["HostSystem"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
  ],
  targets: [
    // The hall: what both ends share. Also compiled for the kernel (scripts/check-embedded).
    .target(name: "VMBus", swiftSettings: settings),
    .target(name: "DeviceProtocols", dependencies: ["VMBus"], swiftSettings: settings),

    // The guest wing's machines. Also compiled for the kernel.
    .target(name: "VMBusGuest", dependencies: ["VMBus"], swiftSettings: settings),
    .target(
      name: "ServiceClients", dependencies: ["VMBus", "DeviceProtocols"], swiftSettings: settings),

    // The host wing.
    .target(name: "VMBusHost", dependencies: ["VMBus"], swiftSettings: settings),
    .target(
      name: "ServiceProviders", dependencies: ["VMBus", "DeviceProtocols"],
      swiftSettings: settings),
    .target(name: "CLinux"),
    // Owners of Linux descriptors, and errno's words: what every part that makes system calls would write again.
    .target(name: "HostSystem", dependencies: ["CLinux"], swiftSettings: settings),
    .target(
      name: "LegacyDevices", dependencies: ["VirtualDisks", "DeviceProtocols", "VMBus"], swiftSettings: settings),
    .target(name: "Partition", dependencies: ["VMBus", "HostSystem", "CLinux"], swiftSettings: settings),
    // Disk images: formats over byte stores. Nothing of the bus or of KVM.
    .target(
      name: "VirtualDisks", dependencies: ["VMBus", "DeviceProtocols", "HostSystem", "CLinux"], swiftSettings: settings),
    // The Ethernet switch: a value, the threads that run it, ways out. Nothing of the bus, KVM or the protocols.
    .target(name: "VirtualSwitch", dependencies: ["HostSystem", "CLinux"], swiftSettings: settings),
    .target(
      name: "ControlAPI",
      dependencies: [
        "HostSystem",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ], swiftSettings: settings),
    .target(
      name: "VirtualMachine",
      dependencies: [
        "VMBus", "DeviceProtocols", "VMBusHost", "ServiceProviders", "LegacyDevices", "Partition", "HostSystem",
        "CLinux",
        "VirtualDisks", "VirtualSwitch", "ControlAPI", "Yams",
      ], swiftSettings: settings),
    .target(
      name: "SoftwareMachine", dependencies: ["HostSystem", "VirtualDisks", "CLinux"], swiftSettings: settings),
    .executableTarget(
      name: "lis",
      dependencies: [
        "VirtualMachine", "VirtualDisks", "VirtualSwitch", "Partition", "SoftwareMachine", "ControlAPI", "HostSystem",
        "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: settings),

    .testTarget(name: "VMBusTests", dependencies: ["VMBus"], swiftSettings: settings),
    .testTarget(
      name: "DeviceProtocolsTests", dependencies: ["DeviceProtocols"], swiftSettings: settings),
    // Both ends of the bus against each other, step by step: for BusTests and for the fuzzer.
    .target(
      name: "BusWalk", dependencies: ["VMBus", "VMBusHost", "VMBusGuest"], path: "Tests/BusWalk",
      swiftSettings: settings),
    .testTarget(
      name: "BusTests", dependencies: ["VMBus", "VMBusHost", "VMBusGuest", "BusWalk"], exclude: ["Captures"],
      swiftSettings: settings),
    .testTarget(
      name: "ServiceTests",
      dependencies: ["VMBus", "DeviceProtocols", "ServiceProviders", "ServiceClients"],
      swiftSettings: settings),
    // Both ends of the storage protocol against each other: for StorageTests and for the fuzzer.
    .target(
      name: "StorageWalk",
      dependencies: ["VMBus", "DeviceProtocols", "ServiceProviders", "ServiceClients", "VirtualDisks", "BusWalk"],
      path: "Tests/StorageWalk", swiftSettings: settings),
    .testTarget(
      name: "StorageTests",
      dependencies: [
        "VMBus", "DeviceProtocols", "ServiceProviders", "ServiceClients", "VirtualDisks", "BusWalk", "StorageWalk",
      ], swiftSettings: settings),
    // Both ends of the network protocol against each other: for NetworkTests and for the fuzzer.
    .target(
      name: "NetworkWalk",
      dependencies: ["VMBus", "DeviceProtocols", "ServiceProviders", "ServiceClients", "BusWalk", "StorageWalk"],
      path: "Tests/NetworkWalk", swiftSettings: settings),
    .testTarget(
      name: "NetworkTests",
      dependencies: [
        "VMBus", "DeviceProtocols", "ServiceProviders", "ServiceClients", "BusWalk", "StorageWalk", "NetworkWalk",
      ], swiftSettings: settings),
    .testTarget(
      name: "LegacyDevicesTests", dependencies: ["LegacyDevices", "DeviceProtocols", "VirtualDisks", "VMBus"],
      swiftSettings: settings),
    // What tests of several targets share.
    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(
      name: "PartitionTests", dependencies: ["Partition", "HostSystem", "TestSupport"], swiftSettings: settings),
    // Stores that lose power or fail on command, for the tests of images and for the fuzzer.
    .target(name: "StoreDoubles", dependencies: ["VirtualDisks"], path: "Tests/StoreDoubles", swiftSettings: settings),
    // Writes to images as a machine does, for Tests/Disks.
    .executableTarget(
      name: "DiskProbe", dependencies: ["VirtualDisks"], path: "Tests/DiskProbe", swiftSettings: settings),
    .testTarget(
      name: "VirtualDisksTests",
      dependencies: ["VirtualDisks", "StoreDoubles", "TestSupport", "HostSystem", "VMBus", "DeviceProtocols"],
      swiftSettings: settings),
    // Both ends of a software machine, for the end-to-end tests.
    .executableTarget(
      name: "SoftwareMachineProbe", dependencies: ["SoftwareMachine", "VirtualDisks", "HostSystem", "CLinux"],
      path: "Tests/SoftwareMachineProbe",
      swiftSettings: settings),
    .testTarget(
      name: "ControlAPITests",
      dependencies: [
        "ControlAPI", "Yams", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: settings),
    .testTarget(
      name: "VirtualSwitchTests", dependencies: ["VirtualSwitch", "HostSystem", "CLinux", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "SoftwareMachineTests",
      dependencies: ["SoftwareMachine", "SoftwareMachineProbe", "VirtualDisks", "HostSystem", "CLinux", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "lis", "VirtualMachine", "VirtualDisks", "VirtualSwitch", "ControlAPI",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: settings),
    .testTarget(
      name: "VirtualMachineTests",
      dependencies: [
        "VirtualMachine", "VirtualDisks", "VirtualSwitch", "ControlAPI", "Partition", "HostSystem",
        "ServiceProviders", "ServiceClients", "DeviceProtocols", "VMBusHost", "VMBus", "TestSupport",
      ],
      swiftSettings: settings),
  ]
)
