// SPDX-License-Identifier: Apache-2.0

/// The parsers that another process reaches, for the fuzzer.
@_spi(Fuzzing) public enum PeerBytes {
  public static func read(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { bytes in
      if case .request(let request)? = unsafe RemoteMessage.decode(bytes) {
        precondition(PortRequest(decoding: request.encoded) == request, "a request that does not go round")
      }
      var taken = 0
      let used = unsafe StreamFrames.take(bytes) { taken += 4 + $0.byteCount }
      precondition(used == nil || used == taken, "bytes of a stream were lost")
    }
  }
}
