// SPDX-License-Identifier: Apache-2.0

/// Why an operation of a daemon on its device fails.
public enum DaemonFault: Error, Hashable, Sendable {
  /// The device is open already: there is one daemon at a time.
  case busy
  /// A message that fits neither the registration nor what was asked, by its size, its contents or its moment.
  case invalid
}
