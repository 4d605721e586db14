// SPDX-License-Identifier: Apache-2.0

/// Two ends of one thing. Of a pipe the first is the one to read.
@frozen public struct DescriptorPair: ~Copyable {
  public let first: Descriptor
  public let second: Descriptor
}
