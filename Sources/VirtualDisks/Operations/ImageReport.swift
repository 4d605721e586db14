// SPDX-License-Identifier: Apache-2.0

/// `lis disk info`: what an image says of itself, and what its file is on the host.
public struct ImageReport: Sendable {
  public var path: String
  public var information: ImageInformation
  public var fileByteCount: UInt64
  /// What the file takes on the host.
  public var allocatedByteCount: UInt64
  /// The parents, the nearest first.
  public var parents: [String]
  /// Why the parents could not be followed, if there are any.
  public var parentProblem: ImageError?
  public var notes: [ImageError]
  /// Who else has the file open to write, as far as that can be told. What is reported may be of the past then.
  public var user: String?

  /// Looks also at files that are in use.
  public init(_ path: String, _ options: ImageChain.Options = ImageChain.Options()) throws(OperationError) {
    var options = options
    options.isWritable = false
    do throws(OperationError) {
      try self.init(reading: path, options)
    } catch {
      guard case .image(let problem) = error, case .store(let failure) = problem.reason, failure.reason == .inUse else {
        throw error
      }
      options.ignoresLocks = true
      try self.init(reading: path, options)
      user = FileHolder.of(path) ?? "another program"
    }
  }

  /// As the tools of the format write it.
  public var identifierText: String? {
    information.diskIdentifier.map { information.format == .vhd ? VHDIdentifier($0).description : $0.plainText }
  }

  private init(reading path: String, _ options: ImageChain.Options) throws(OperationError) {
    self.path = path
    let alone = try onImage { () throws(ImageError) in try ImageChain.openAlone(path, options) }
    information = alone.image.information
    notes = alone.notes
    parents = []
    fileByteCount = try onStore { () throws(StoreError) in try alone.store.byteCount() }
    allocatedByteCount = FileIdentity.allocated(path)
    guard information.parent != nil else { return }
    do throws(ImageError) {
      parents = try ImageChain.open(path, options).layers.dropFirst().map(\.path)
    } catch {
      parentProblem = error
    }
  }
}
