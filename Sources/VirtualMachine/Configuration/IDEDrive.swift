// SPDX-License-Identifier: Apache-2.0

public import ControlAPI

/// A disk or DVD drive on the emulated IDE controller, which makes a machine one of generation 1.
public struct IDEDrive: Codable, Hashable, Sendable {
  public var place: IDEPlace
  /// Its controller and unit mean nothing here.
  public var disk: DiskConfiguration

  public init(place: IDEPlace, disk: DiskConfiguration) {
    self.place = place
    self.disk = disk
  }
}
