// SPDX-License-Identifier: Apache-2.0

/// Finds the file that a differencing image calls its parent. The paths come from the image: anybody may have written
/// them.
struct ParentSearch: Sendable {
  /// The child's.
  var path: String
  /// As the image writes them.
  var paths: [String]

  func find(_ options: ImageChain.Options, _ seen: [FileIdentity]) throws(ImageError) -> String {
    let folder = FileIdentity.folder(of: FileIdentity.resolved(path) ?? path)
    var tried: [String] = []
    for written in paths {
      guard let host = WindowsPath.hostPath(written) else {
        tried.append(written)
        continue
      }
      let candidate = host.hasPrefix("/") ? host : folder == "/" ? "/\(host)" : "\(folder)/\(host)"
      guard let resolved = FileIdentity.resolved(candidate), let identity = FileIdentity(resolved) else {
        if !tried.contains(candidate) { tried.append(candidate) }
        continue
      }
      if let index = seen.firstIndex(of: identity) {
        throw error(
          index == seen.count - 1 ? "it names itself as its parent" : "the chain of parents leads back to \(candidate)")
      }
      if let folders = options.parentFolders, !folders.contains(where: { Self.lies(resolved, in: $0) }) {
        throw error("\(resolved) lies outside the folders that parents are allowed in")
      }
      return resolved
    }
    guard !tried.isEmpty else { throw error("the image does not say where its parent lies") }
    throw error("the parent is missing: there is no \(tried.joined(separator: ", no "))")
  }

  static func lies(_ resolved: String, in folder: String) -> Bool {
    guard let folder = FileIdentity.resolved(folder) else { return false }
    return resolved.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
  }

  private func error(_ what: String) -> ImageError {
    ImageError(file: path, structure: "parent locator", .parent(what))
  }
}
