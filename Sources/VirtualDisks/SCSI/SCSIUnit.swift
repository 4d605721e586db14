// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What is at one number of a controller.
public enum SCSIUnit: Sendable {
  case disk(SCSIDisk)
  case dvd(SCSIDVD)

  public init(_ characteristics: DriveCharacteristics, maximumTransferBytes: UInt32 = 1 << 20) {
    switch characteristics.kind {
    case .disk: self = .disk(SCSIDisk(characteristics, maximumTransferBytes: maximumTransferBytes))
    case .dvd: self = .dvd(SCSIDVD(characteristics, maximumTransferBytes: maximumTransferBytes))
    }
  }

  public var characteristics: DriveCharacteristics {
    switch self {
    case .disk(let disk): disk.characteristics
    case .dvd(let dvd): dvd.characteristics
    }
  }

  /// Runs `body` on the model in place.
  private mutating func change<R>(disk: (inout SCSIDisk) -> R, dvd: (inout SCSIDVD) -> R) -> R {
    switch consume self {
    case .disk(var model):
      let result = disk(&model)
      self = .disk(model)
      return result
    case .dvd(var model):
      let result = dvd(&model)
      self = .dvd(model)
      return result
    }
  }

  public mutating func begin(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    change(disk: { $0.begin(command, into: &response) }, dvd: { $0.begin(command, into: &response) })
  }

  /// Only disks fetch parameters.
  public mutating func resume(_ task: SCSITask, data: RawSpan) -> SCSIStep {
    switch consume self {
    case .disk(var model):
      let step = model.resume(task, data: data)
      self = .disk(model)
      return step
    case .dvd(let model):
      self = .dvd(model)
      return .check(.hardwareError, .internalFailure)
    }
  }

  public mutating func raise(_ attention: AdditionalSense) {
    change(disk: { $0.raise(attention) }, dvd: { $0.raise(attention) })
  }

  /// The controller's first channel was opened: by another kernel, or anew by the same.
  public mutating func restart() { change(disk: { $0.restart() }, dvd: { $0.restart() }) }

  public mutating func reset() { change(disk: { $0.reset() }, dvd: { $0.reset() }) }
}
