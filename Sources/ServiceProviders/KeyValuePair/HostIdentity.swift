// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What the host tells the guest about itself and the virtual machine, under the names that Hyper-V uses in pool 3.
public struct HostIdentity: Hashable, Sendable {
  public var hostName: String
  /// The same with its domain, where the host has one.
  public var qualifiedHostName: String
  public var machineName: String
  public var machineID: GUID
  /// Version of the hosting system, as in the hypervisor's version leaf.
  public var majorVersion: UInt32
  public var minorVersion: UInt32
  public var dynamicMemory: Bool

  public init(
    hostName: String, qualifiedHostName: String, machineName: String, machineID: GUID, majorVersion: UInt32 = 10,
    minorVersion: UInt32 = 0, dynamicMemory: Bool = false
  ) {
    self.hostName = hostName
    self.qualifiedHostName = qualifiedHostName
    self.machineName = machineName
    self.machineID = machineID
    self.majorVersion = majorVersion
    self.minorVersion = minorVersion
    self.dynamicMemory = dynamicMemory
  }

  public var items: [KeyValueItem] {
    let identifier = machineID.bracedText.dropFirst().dropLast().uppercased()
    return [
      KeyValueItem(key: "HostName", value: .string(hostName)),
      KeyValueItem(key: "HostingSystemEditionId", value: .unsigned32(0)),
      KeyValueItem(key: "HostingSystemNestedLevel", value: .unsigned32(0)),
      KeyValueItem(key: "HostingSystemOsMajor", value: .unsigned32(majorVersion)),
      KeyValueItem(key: "HostingSystemOsMinor", value: .unsigned32(minorVersion)),
      // PROCESSOR_ARCHITECTURE_AMD64.
      KeyValueItem(key: "HostingSystemProcessorArchitecture", value: .unsigned32(9)),
      KeyValueItem(key: "HostingSystemSpMajor", value: .unsigned32(0)),
      KeyValueItem(key: "HostingSystemSpMinor", value: .unsigned32(0)),
      KeyValueItem(key: "PhysicalHostName", value: .string(hostName)),
      KeyValueItem(key: "PhysicalHostNameFullyQualified", value: .string(qualifiedHostName)),
      KeyValueItem(key: "VirtualMachineDynamicMemoryBalancingEnabled", value: .unsigned32(dynamicMemory ? 1 : 0)),
      KeyValueItem(key: "VirtualMachineId", value: .string(identifier)),
      KeyValueItem(key: "VirtualMachineName", value: .string(machineName)),
    ]
  }
}
