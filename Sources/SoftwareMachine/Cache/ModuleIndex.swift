// SPDX-License-Identifier: Apache-2.0

/// Which module files a kernel package has and which it needs in which order. Works on what the package itself holds
/// (modules.order, modules.builtin and each module's .modinfo), since modules.dep is only made when it is installed.
struct ModuleIndex {
  /// Module name to its file, relative to the modules folder, without a packing suffix.
  private var files: [String: String] = [:]
  private var builtIn: Set<String> = []

  /// `order` and `builtIn` are the texts of the files of those names.
  init(order: String, builtIn list: String) {
    for line in order.split(separator: "\n") { files[Self.name(String(line))] = String(line) }
    for line in list.split(separator: "\n") { builtIn.insert(Self.name(String(line))) }
  }

  /// "kvm_amd" of "kernel/arch/x86/kvm/kvm-amd.ko.xz".
  static func name(_ file: String) -> String {
    let last = file.split(separator: "/").last.map(String.init) ?? file
    let base = last.split(separator: ".").first.map(String.init) ?? last
    return String(base.map { $0 == "-" ? "_" : $0 })
  }

  /// The names that a module's .modinfo section lists as needed: the text after "depends=" up to the zero byte.
  static func needs(ofModule bytes: [UInt8]) -> [String] {
    let key = Array("\0depends=".utf8)
    var start = 0
    // memchr-like: only places with a zero byte are compared.
    while let zero = bytes[start...].firstIndex(of: 0), zero + key.count <= bytes.count {
      if bytes[zero..<zero + key.count].elementsEqual(key) {
        let text = bytes[(zero + key.count)...].prefix { $0 != 0 }
        return String(decoding: text, as: UTF8.self).split(separator: ",").map(String.init)
      }
      start = zero + 1
    }
    return []
  }

  /// The modules to load for `wanted`, each after those that it needs, none twice, with their files and contents.
  /// Built-in ones need none. `read` gives a file's unpacked content.
  func load(
    _ wanted: [String], read: (String) throws(SoftwareMachineError) -> [UInt8]
  ) throws(SoftwareMachineError) -> [(name: String, content: [UInt8])] {
    var loaded: [(name: String, content: [UInt8])] = []
    var visited: Set<String> = []
    for name in wanted { try visit(name, &visited, &loaded, read) }
    return loaded
  }

  private func visit(
    _ module: String, _ visited: inout Set<String>, _ loaded: inout [(name: String, content: [UInt8])],
    _ read: (String) throws(SoftwareMachineError) -> [UInt8]
  ) throws(SoftwareMachineError) {
    let name = Self.name(module)
    guard visited.insert(name).inserted, !builtIn.contains(name) else { return }
    guard let file = files[name] else {
      throw .preparation("the software machine's kernel has no module \(name)")
    }
    let content = try read(file)
    for needed in Self.needs(ofModule: content) { try visit(needed, &visited, &loaded, read) }
    loaded.append((name, content))
  }
}
