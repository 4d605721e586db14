// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// `lis disk check`: reads all of an image's metadata, and that of its parents.
public struct ImageCheck: Sendable {
  public struct Finding: Equatable, Sendable {
    /// Names file, structure and offset.
    public var error: ImageError
    /// False for what costs nothing but space, or is read from a copy.
    public var isDamage: Bool
    /// Whether `repairs` puts it right.
    public var isRepairable: Bool
  }

  public struct Result: Equatable, Sendable {
    public var findings: [Finding]
    /// How many of them have been repaired.
    public var repaired: Int

    /// Nothing is damaged any more.
    public var isSound: Bool { !findings.contains { $0.isDamage && !($0.isRepairable && repaired > 0) } }
  }

  public var path: String
  public var options = ImageChain.Options()
  /// Put right what has a sound copy elsewhere in the file. Nothing else: what is lost is lost, and guesses make it worse.
  public var repairs = false

  public init(_ path: String) { self.path = path }

  public func perform() throws(OperationError) -> Result {
    var options = options
    options.isWritable = repairs
    let chain: ImageChain
    do throws(ImageError) {
      chain = try ImageChain.open(path, options)
    } catch {
      return try afterFailure(error, options)
    }
    var findings: [Finding] = []
    for (index, layer) in chain.layers.enumerated() {
      // Parents are not ours to repair here.
      findings += layer.notes.map { Finding(error: $0, isDamage: false, isRepairable: index == 0) }
      if let leak = (layer.image as? VHDImage)?.unusedBytes, leak.count > 0 {
        let what = "\(leak.count) bytes belong to no block; `lis disk compact` gives them back"
        findings.append(
          Finding(
            error: ImageError(file: layer.path, structure: "unused space", offset: leak.offset, .damaged(what)),
            isDamage: false, isRepairable: false))
      }
    }
    var repaired = 0
    if repairs {
      let count = findings.count { $0.isRepairable }
      if count > 0, let image = chain.image as? VHDImage {
        try onImage { () throws(ImageError) in try image.repairFooters() }
      }
      // A VHDX put its log in place when it was opened to write.
      repaired = count
      try onImage { () throws(ImageError) in try chain.image.close() }
    }
    return Result(findings: findings, repaired: repaired)
  }

  /// What keeps an image from being opened is its finding, unless it is the host that failed.
  private func afterFailure(_ error: ImageError, _ options: ImageChain.Options) throws(OperationError) -> Result {
    switch error.reason {
    case .damaged:
      var finding = Finding(error: error, isDamage: true, isRepairable: false)
      guard try ImageFormat.find(path, options) == .vhd,
        let footer = try? InterruptedResize(path, isWritable: repairs)
      else { return Result(findings: [finding], repaired: 0) }
      finding.isRepairable = true
      if repairs { try onStore { () throws(StoreError) in try footer.undo() } }
      return Result(findings: [finding], repaired: repairs ? 1 : 0)
    case .unsupported, .parent:
      return Result(findings: [Finding(error: error, isDamage: true, isRepairable: false)], repaired: 0)
    default: throw .image(error)
    }
  }
}

extension ImageFormat {
  static func find(_ path: String, _ options: ImageChain.Options) throws(OperationError) -> ImageFormat {
    try onImage { () throws(ImageError) in try of(path, options.format) }
  }
}

/// A fixed VHD whose growth was cut off by a power failure: the file is longer, and its new last sector never became
/// durable. The old footer is where it was, and behind it there is nothing.
struct InterruptedResize {
  private let store: FileStore
  private let end: UInt64

  init?(_ path: String, isWritable: Bool) throws(StoreError) {
    store = try FileStore(path: path, mode: isWritable ? .readWrite : .readOnly)
    let size = try store.byteCount()
    guard size >= 1024 else { return nil }
    var last: UInt64?
    // Only data can be a footer; holes, of which most of the new space consists, are passed quickly.
    var position: UInt64 = 0
    while position < size {
      let (skipped, count) = ImageCopy.dataRun(store, position, size - position, 512)
      position += skipped
      if count == 0 { break }
      last = position + count
      position += count
    }
    guard let last, last >= 512 else { return nil }
    // The footer is the last thing in the file that is not zero.
    let start = last > 65536 ? (last - 65536) / 512 * 512 : 0
    var found: UInt64?
    var sector = start
    while sector + 512 <= last {
      let bytes = try store.bytes(at: sector, count: 512)
      if bytes.contains(where: { $0 != 0 }) {
        let footer = try? VHDFooter(decoding: bytes)
        found = footer?.kind == .fixed && footer?.currentSize == sector ? sector : nil
      }
      sector += 512
    }
    guard let found else { return nil }
    end = found + 512
  }

  func undo() throws(StoreError) {
    try store.setByteCount(end)
    try store.flush()
  }
}

extension VHDImage {
  /// Space before the footer that no block and no metadata uses: what a crash or another program left.
  var unusedBytes: (offset: UInt64, count: UInt64)? {
    state.withLock { state in
      let structure = state.structure
      guard structure.header != nil, structure.footerOffset > structure.dataEnd else { return nil }
      return (structure.dataEnd, structure.footerOffset - structure.dataEnd)
    }
  }

  /// Writes the footer to both of its places again, from the sound one.
  func repairFooters() throws(ImageError) {
    try state.withLock { state throws(ImageError) in
      try checkWritable(state)
      try writeFooter(&state, state.structure.footer)
    }
    try flush()
  }
}
