// SPDX-License-Identifier: Apache-2.0

/// Where the inner ends of the streams of network frames are.
public enum InnerNetwork {
  /// Of the ports on the virtio-serial device; those before are the link and the image files.
  static let firstPort = InnerImages.portNumber + 1

  /// The device of a way out, counted from 0; nil: there is none.
  public static func device(_ index: Int) -> String? {
    guard (0..<QEMUCommand.networkCount).contains(index) else { return nil }
    return Folder.names("/sys/class/virtio-ports").first { $0.hasSuffix("p\(firstPort + index)") }.map { "/dev/\($0)" }
  }
}
