// SPDX-License-Identifier: Apache-2.0

/// Finds the file that a differencing image calls its parent. The paths come from the image: anybody may have written
/// them.
struct ParentSearch: Sendable {
  /// The child's.
  var path: String
  /// As the image writes them.
  var paths: [String]
  var opener: any StoreOpener

  func find(_ options: ImageChain.Options, _ seen: [FileIdentity]) throws(ImageError) -> String {
    let folder = FileIdentity.folder(of: opener.find(path)?.resolved ?? path)
    var tried: [String] = []
    for written in paths {
      guard let host = WindowsPath.hostPath(written) else {
        tried.append(written)
        continue
      }
      let candidate = host.hasPrefix("/") ? host : folder == "/" ? "/\(host)" : "\(folder)/\(host)"
      guard let found = opener.find(candidate) else {
        if !tried.contains(candidate) { tried.append(candidate) }
        continue
      }
      if let index = seen.firstIndex(of: found.identity) {
        throw error(
          index == seen.count - 1 ? "it names itself as its parent" : "the chain of parents leads back to \(candidate)")
      }
      if let folders = options.parentFolders, !folders.contains(where: { lies(found.resolved, in: $0) }) {
        throw error("\(found.resolved) lies outside the folders that parents are allowed in")
      }
      return found.resolved
    }
    guard !tried.isEmpty else { throw error("the image does not say where its parent lies") }
    throw error("the parent is missing: there is no \(tried.joined(separator: ", no "))")
  }

  private func lies(_ resolved: String, in folder: String) -> Bool {
    guard let folder = opener.find(folder)?.resolved else { return false }
    return resolved.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
  }

  private func error(_ what: String) -> ImageError {
    ImageError(file: path, structure: "parent locator", .parent(what))
  }
}
