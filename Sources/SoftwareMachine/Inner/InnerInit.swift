// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// What process 1 does before the state is saved: file systems, modules, the worker, the port.
enum InnerInit {
  static let virtioDrivers = "/sys/bus/virtio"

  static func start() throws(SystemError) -> Never {
    try mountFileSystems()
    try loadModules()
    try Folder.make("/run/lis")
    let input = try Descriptor.pipe()
    let output = try Descriptor.pipe()
    let error = try Descriptor.pipe()
    let orders = try Descriptor.pipe()
    let news = try Descriptor.pipe()
    let worker = try ChildProcess(
      "/init", [], environment: environment,
      descriptors: [
        input.first.number, output.second.number, error.second.number, orders.first.number, news.second.number,
      ])
    return try serve(
      worker,
      Ends(
        input: dup(input.second.number), output: dup(output.first.number), error: dup(error.first.number),
        orders: dup(orders.second.number), news: dup(news.first.number)),
      closing: [
        input.first.number, input.second.number, output.first.number, output.second.number, error.first.number,
        error.second.number, orders.first.number, orders.second.number, news.first.number, news.second.number,
      ])
  }

  private static let environment = [
    "PATH=/usr/bin:/bin", "HOME=/root", "TMPDIR=/tmp", "XDG_RUNTIME_DIR=/run", "TERM=dumb",
    "\(InnerMachine.variable)=worker",
  ]

  /// Process 1's ends of the worker's pipes.
  struct Ends {
    let input, output, error, orders, news: Int32
  }

  private static func serve(
    _ worker: consuming ChildProcess, _ ends: Ends, closing copies: [Int32]
  ) throws(SystemError) -> Never {
    for copy in copies { close(copy) }
    let port = try openPort()
    let serial = try openSerial()
    var byte: [UInt8] = []
    guard case .bytes = Stream.read(ends.news, into: &byte, limit: 1) else {
      fail("the worker ended before it was ready: \(worker.wait())")
    }
    var loop = InnerLoop(port: port, worker: worker, ends: ends)
    try Stream.writeAll(serial, Array("\(InnerLog.ready)\n".utf8))
    repeat { loop.turn() } while !loop.isOver
    fail("the loop ended")
  }

  private static func mountFileSystems() throws(SystemError) {
    try mount("dev", "/dev", "devtmpfs", "mode=0755")
    try mount("proc", "/proc", "proc")
    try mount("sys", "/sys", "sysfs")
    // Half of memory is tmpfs's default limit; what is uploaded to the control API may be larger than that.
    try mount("run", "/run", "tmpfs", "mode=0755,size=90%")
    try mount("tmp", "/tmp", "tmpfs", "mode=1777,size=90%")
  }

  private static func mount(
    _ source: String, _ target: String, _ kind: String, _ options: String = ""
  ) throws(SystemError) {
    let result = unsafe options.withCString { unsafe Glibc.mount(source, target, kind, 0, $0) }
    // The kernel may have mounted devtmpfs itself.
    if result != 0 && errno != EBUSY { throw SystemError("mount", target) }
  }

  private static func loadModules() throws(SystemError) {
    for name in Folder.names("/modules") {
      // The disks differ at each restore: the driver is there, and looks at them only when it is told (`InnerLoop`).
      if name.contains("virtio_blk") { setAutoprobe(false) }
      let file = try Descriptor.open("/modules/\(name)", O_RDONLY)
      // The one processor has better things to do than to poll for what only it could bring about.
      let options = name.hasSuffix("-kvm.ko") ? "halt_poll_ns=0" : ""
      let result = unsafe clinux_load_module(file.number, options, 0)
      guard result == 0 || result == -EEXIST else { throw SystemError("load", name, error: -result) }
    }
    Folder.remove("/modules")
  }

  private static func setAutoprobe(_ on: Bool) {
    try? SystemFiles.write([UInt8(ascii: on ? "1" : "0")], to: virtioDrivers + "/drivers_autoprobe")
  }

  /// The virtio-serial port to the outer program; its driver makes the node a moment after it is loaded.
  private static func openPort() throws(SystemError) -> Int32 {
    for _ in 0..<500 {
      if let name = Folder.names("/sys/class/virtio-ports").first(where: { $0.hasSuffix("p1") }) {
        return try Descriptor.open("/dev/\(name)", O_RDWR | O_NONBLOCK).take()
      }
      usleep(10_000)
    }
    throw SystemError("open", "the port to the outer program", error: ENXIO)
  }

  /// The serial line: raw, and deaf, since all that ever comes in is the kick against lost interrupts. It must be open
  /// for its interrupt to be on.
  private static func openSerial() throws(SystemError) -> Int32 {
    let serial = try Descriptor.open("/dev/ttyS0", O_RDWR | O_NOCTTY).take()
    var settings = termios()
    _ = unsafe tcgetattr(serial, &settings)
    unsafe cfmakeraw(&settings)
    settings.c_cflag &= ~tcflag_t(CREAD)
    settings.c_cflag |= tcflag_t(CLOCAL)
    _ = unsafe tcsetattr(serial, TCSANOW, &settings)
    return serial
  }

  /// Says why the inner machine cannot go on, and waits to be ended.
  static func fail(_ reason: String) -> Never {
    let words = Array("\(InnerLog.failed)\(reason)\n".utf8)
    if let serial = try? Descriptor.open("/dev/ttyS0", O_WRONLY | O_NOCTTY) {
      try? Stream.writeAll(serial.number, words)
    } else {
      try? Stream.writeAll(1, words)
    }
    while true { sleep(3600) }
  }
}
