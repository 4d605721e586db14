// SPDX-License-Identifier: Apache-2.0

import CUtils
import DeviceProtocols
import KernelSupport
import ServiceClients
import VMBus

// What the glue calls. `state` is a Service in the kernel's memory, from `make` to `end`.

/// The numbers of errors, as C programs know them.
private enum Errno {
  static var io: Int32 { 5 }
  static var busy: Int32 { 16 }
  static var invalid: Int32 { 22 }
  static var stale: Int32 { 116 }
}

private func service(_ state: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Service> {
  unsafe state.assumingMemoryBound(to: Service.self)
}

private func code(_ fault: DaemonFault) -> Int32 {
  switch fault {
  case .busy: -Errno.busy
  case .invalid: -Errno.invalid
  }
}

@c(utils_swift_make)
public func make(_ handle: OpaquePointer, _ kind: UInt32) -> UnsafeMutableRawPointer? {
  guard let kind = IntegrationService(rawValue: UInt8(truncatingIfNeeded: kind)),
    let made = unsafe Service.make(handle, kind), let box = KernelBox(made)
  else { return nil }
  return unsafe box.intoPointer()
}

@c(utils_swift_end)
public func end(_ state: UnsafeMutableRawPointer) {
  _ = unsafe KernelBox<Service>(pointer: state)
}

@c(utils_swift_opened)
public func opened(_ state: UnsafeMutableRawPointer, _ channel: OpaquePointer) -> Int32 {
  do throws(RingError) {
    try unsafe service(state).pointee.opened(channel)
    return 0
  } catch {
    return -Errno.io
  }
}

@c(utils_swift_closing)
public func closing(_ state: UnsafeMutableRawPointer) -> Int32 {
  unsafe service(state).pointee.closing()
  return 0
}

@c(utils_swift_serve)
public func serve(_ state: UnsafeMutableRawPointer) -> Int32 {
  unsafe service(state).pointee.serve()
  return 0
}

@c(utils_swift_timeout)
public func timeout(_ state: UnsafeMutableRawPointer) -> Int32 {
  unsafe service(state).pointee.timeout()
  return 0
}

@c(utils_swift_host_time)
public func hostTime(_ state: UnsafeMutableRawPointer, _ time: UnsafeMutablePointer<Int64>) -> Int32 {
  guard let found = unsafe service(state).pointee.hostTime() else { return -Errno.stale }
  unsafe time.pointee = found
  return 0
}

@c(utils_swift_device_open)
public func deviceOpen(_ state: UnsafeMutableRawPointer) -> Int32 {
  do throws(DaemonFault) {
    try unsafe service(state).pointee.deviceOpen()
    return 0
  } catch {
    return code(error)
  }
}

@c(utils_swift_device_close)
public func deviceClose(_ state: UnsafeMutableRawPointer) -> Int32 {
  unsafe service(state).pointee.deviceClose()
  return 0
}

@c(utils_swift_message)
public func message(_ state: UnsafeMutableRawPointer) -> UnsafeRawPointer? {
  unsafe UnsafeRawPointer(service(state).pointee.message.base)
}

@c(utils_swift_device_read)
public func deviceRead(_ state: UnsafeMutableRawPointer) -> Int32 {
  unsafe service(state).pointee.deviceRead()
  return 0
}

@c(utils_swift_device_write)
public func deviceWrite(_ state: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, _ count: Int) -> Int32 {
  do throws(DaemonFault) {
    try unsafe service(state).pointee.deviceWrite(RawSpan(_unsafeStart: bytes, byteCount: count))
    return 0
  } catch {
    return code(error)
  }
}
