// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What the owner of a device says about one of its channels. The server adds the numbers.
public struct OfferDescription: Equatable, Sendable {
  /// What kind of device.
  public var classID: GUID
  /// Which one. Stable over the life of the machine, since Linux names the device after it.
  public var instanceID: GUID
  public var flags: OfferFlags
  /// In named pipe mode; goes to the start of the user data.
  public var pipeMode: PipeMode?
  /// The device's own, outside of named pipe mode.
  public var userData: UserData
  /// Memory-mapped I/O space that the device needs, in MiB.
  public var mmioMegabytes: UInt16
  /// 0: the primary channel. Others are offered only when the guest asked the device for them, and are gone after a
  /// reset or a new contact.
  public var subChannelIndex: UInt16
  /// The guest is to signal through the monitor page and not by hypercalls: for drivers outside of its kernel, which have no
  /// other way. It costs everybody time.
  public var isMonitored: Bool

  public init(
    classID: GUID, instanceID: GUID, flags: OfferFlags = .none, pipeMode: PipeMode? = nil,
    userData: UserData = UserData(), mmioMegabytes: UInt16 = 0, subChannelIndex: UInt16 = 0,
    isMonitored: Bool = false
  ) {
    self.classID = classID
    self.instanceID = instanceID
    self.flags = flags
    self.pipeMode = pipeMode
    self.userData = userData
    self.mmioMegabytes = mmioMegabytes
    self.subChannelIndex = subChannelIndex
    self.isMonitored = isMonitored
  }

  /// As Hyper-V offers every integration service: enumerated, in named pipe mode with message framing.
  public static func integrationService(classID: GUID, instanceID: GUID) -> OfferDescription {
    OfferDescription(
      classID: classID, instanceID: instanceID, flags: .enumerateInterface.union(.namedPipe), pipeMode: .messages)
  }

  /// Linux drops a second channel that has all three in common with one that it knows.
  func hasSameIdentity(as other: OfferDescription) -> Bool {
    classID == other.classID && instanceID == other.instanceID && subChannelIndex == other.subChannelIndex
  }

  /// `monitor`: where the guest signals it, if not by hypercalls.
  func offer(channel: ChannelID, monitor: UInt8? = nil) -> Offer {
    var offer = Offer(
      classID: classID, instanceID: instanceID, channel: channel, connection: .channel(channel))
    offer.flags = flags
    offer.mmioMegabytes = mmioMegabytes
    offer.subChannelIndex = subChannelIndex
    offer.userData = userData
    if let pipeMode { offer.userData.words[0] = UInt64(pipeMode.rawValue) }
    if let monitor {
      offer.monitorAllocated = true
      offer.monitorID = monitor
    }
    return offer
  }
}
