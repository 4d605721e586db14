// SPDX-License-Identifier: Apache-2.0

/// What only one commit at a time may touch.
struct VHDXCommitter: Sendable {
  var headers: VHDXHeaders
  /// Nil until the first change.
  var log: VHDXLogWriter?
  /// Pages that are durable in the log, but could not be written in place for lack of space.
  var pagesOutOfPlace: [VHDXLogPage] = []
  /// The file durably has at least this size.
  var flushedFileByteCount: UInt64
  /// The last request that a commit has answered.
  var flushesDone: UInt64 = 0

  /// What is written is what the data write identifier stands for already.
  let keepsIdentifier: Bool

  init(headers: VHDXHeaders, flushedFileByteCount: UInt64, keepsIdentifier: Bool) {
    self.keepsIdentifier = keepsIdentifier
    self.headers = headers
    self.flushedFileByteCount = flushedFileByteCount
  }
}
