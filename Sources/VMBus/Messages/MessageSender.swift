// SPDX-License-Identifier: Apache-2.0

/// The end of the bus that a message comes from.
public enum MessageSender: Equatable, Sendable {
  case guest
  case host
}
