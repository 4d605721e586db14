// SPDX-License-Identifier: Apache-2.0

import HostSystem

/// Why something asked of a switch cannot be.
public enum SwitchError: Error, Equatable, Sendable, CustomStringConvertible {
  case vlanOutOfRange(Int)
  case emptyTrunk
  case unusableAddress(MACAddress)
  case addressTaken(MACAddress, by: String)
  case nameTaken(String)
  case payloadOutOfRange(Int)
  case full(Int)
  case noSuchPort(String)
  case noSuchInterface(String)
  case notATAP(String)
  case interfaceBusy(String)
  case notPermitted(String, remedy: String)
  case noPasst(String)
  case passtFailed(String)
  case noSwitch(String)
  case refused(String)
  case captureFailed(String)
  case closed
  case system(SystemError)

  public var description: String {
    switch self {
    case .vlanOutOfRange(let id): "VLAN id \(id) is outside 1–4094"
    case .emptyTrunk: "a trunk without allowed VLANs"
    case .unusableAddress(let address): "\(address) cannot be an adapter's address: it is zero or a group's"
    case .addressTaken(let address, let port): "the address \(address) belongs to port \(port) already"
    case .nameTaken(let name): "a port named \(name) is there already"
    case .payloadOutOfRange(let count): "an MTU of \(count) is outside 68–65521"
    case .full(let count): "the switch has all its \(count) ports in use"
    case .noSuchPort(let name): "no port named \(name)"
    case .noSuchInterface(let name): "no network interface named \(name)"
    case .notATAP(let name): "the network interface \(name) is not a TAP device"
    case .interfaceBusy(let name): "the TAP device \(name) is used by another process"
    case .notPermitted(let what, _): "no permission to use \(what)"
    case .noPasst(let program): "\(program) is not installed"
    case .passtFailed(let text): "passt did not start: \(text)"
    case .noSwitch(let path): "no switch listens at \(path)"
    case .refused(let text): text
    case .captureFailed(let text): "cannot capture: \(text)"
    case .closed: "the port is disconnected"
    case .system(let error): "\(error)"
    }
  }

  /// What to do about it, where there is something.
  public var remedy: String? {
    switch self {
    case .vlanOutOfRange: "use a number from 1 to 4094"
    case .emptyTrunk: "name the VLANs that it carries, such as 1-10,20"
    case .unusableAddress: "use an individual address, such as 00:15:5d:01:02:03"
    case .addressTaken: "give each adapter an address of its own"
    case .nameTaken: "choose another name"
    case .payloadOutOfRange: "use a size from 68 to 65521"
    case .noSuchInterface: "`ip link` lists what there is; `ip tuntap add tap0 mode tap multi_queue` makes a TAP device"
    case .notATAP: "make one with `ip tuntap add tap0 mode tap multi_queue`"
    case .interfaceBusy: "use another device, or end the process that has it"
    case .notPermitted(_, let remedy): remedy
    case .noPasst: "install it (Debian's package is passt), or use another uplink"
    case .noSwitch: "create it with `lis switch create`"
    default: nil
    }
  }
}
