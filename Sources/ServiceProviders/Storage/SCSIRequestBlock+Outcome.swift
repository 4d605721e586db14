// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

extension SCSIRequestBlock {
  /// Turns the request into its answer.
  ///
  /// Quirk `srb-status-6.1`: what is given up ends as `aborted`, also by a bus reset. Linux 6.1 does not know `busReset`
  /// and takes a request without data that ends so, a SYNCHRONIZE CACHE, for a success.
  mutating func end(_ outcome: SCSIOutcome) {
    deviceStatus = .good
    switch outcome.adapter {
    case .answered:
      deviceStatus = outcome.status
      status = outcome.status == .good ? .success : outcome.sense == nil ? .error : .error.withSense
      dataLength = min(dataLength, outcome.byteCount)
      setSense(outcome.sense)
      return
    case .noUnit: status = .invalidUnit
    case .aborted: status = .aborted
    case .invalid: status = .invalidRequest
    }
    dataLength = 0
    setSense(nil)
  }
}
