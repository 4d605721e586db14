// SPDX-License-Identifier: Apache-2.0

/// One of the four plugs of an IDE controller's two cables.
public enum IDEPlace: String, Codable, CaseIterable, Sendable {
  case primaryMaster = "primary-master"
  case primarySlave = "primary-slave"
  case secondaryMaster = "secondary-master"
  case secondarySlave = "secondary-slave"
}
