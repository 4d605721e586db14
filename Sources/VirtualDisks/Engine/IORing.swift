// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// One io_uring(7): entries go in, completions come out, one system call for many. For one thread, the one that made it.
///
/// The two rings are memory shared with the kernel, which is trusted; their indices are atomics all the same. Layout and
/// flags: linux/io_uring.h.
@safe
struct IORing: ~Copyable {
  private let descriptor: Descriptor
  private let rings: Mapping
  private let entries: Mapping
  private let submissionHead: UnsafeMutablePointer<Atomic<UInt32>>
  private let submissionTail: UnsafeMutablePointer<Atomic<UInt32>>
  private let completionHead: UnsafeMutablePointer<Atomic<UInt32>>
  private let completionTail: UnsafeMutablePointer<Atomic<UInt32>>
  private let completions: UnsafeMutableRawPointer
  private let submissionMask: UInt32
  private let completionMask: UInt32
  /// The tail as far as this side has filled entries; published by `submit`.
  private var tail: UInt32
  private var submitted: UInt32

  /// A result: `result` is a count of bytes or a negated errno.
  struct Completion {
    var userData: UInt64
    var result: Int32
  }

  /// `entries`: a power of two. Throws where the kernel has no io_uring, or refuses it.
  init(entries count: UInt32) throws(SystemError) {
    var parameters = io_uring_params()
    // Completions are handled when this thread asks for them, without interrupting it (Linux 6.1).
    parameters.flags = UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_DEFER_TASKRUN)
    var made = unsafe clinux_ring_setup(count, &parameters)
    if made == -EINVAL {
      parameters = io_uring_params()
      made = unsafe clinux_ring_setup(count, &parameters)
    }
    guard made >= 0 else { throw SystemError("io_uring_setup", error: -made) }
    let descriptor = Descriptor(owning: made)
    guard parameters.features & UInt32(IORING_FEAT_SINGLE_MMAP) != 0,
      parameters.features & UInt32(IORING_FEAT_NODROP) != 0
    else { throw SystemError("io_uring_setup", error: ENOSYS) }
    let submissions = Int(parameters.sq_off.array) + Int(parameters.sq_entries) * 4
    let results = Int(parameters.cq_off.cqes) + Int(parameters.cq_entries) * 16
    let rings = try Mapping(made, byteCount: max(submissions, results), offset: off_t(IORING_OFF_SQ_RING))
    entries = try Mapping(made, byteCount: Int(parameters.sq_entries) * 64, offset: off_t(IORING_OFF_SQES))
    unsafe submissionHead = rings.word(parameters.sq_off.head)
    unsafe submissionTail = rings.word(parameters.sq_off.tail)
    unsafe completionHead = rings.word(parameters.cq_off.head)
    unsafe completionTail = rings.word(parameters.cq_off.tail)
    unsafe completions = rings.base + Int(parameters.cq_off.cqes)
    submissionMask = parameters.sq_entries - 1
    completionMask = parameters.cq_entries - 1
    // Entry n of the ring is always entry n of the array.
    for index in 0..<parameters.sq_entries {
      unsafe (rings.base + Int(parameters.sq_off.array)).storeBytes(
        of: index, toByteOffset: Int(index) * 4, as: UInt32.self)
    }
    tail = unsafe submissionTail.pointee.load(ordering: .relaxed)
    submitted = tail
    self.rings = rings
    self.descriptor = descriptor
  }

  /// Whether another entry may be queued before a `submit`.
  var hasRoom: Bool { tail &- (unsafe submissionHead.pointee.load(ordering: .acquiring)) <= submissionMask }

  /// Fills the next entry. Only while `hasRoom`. What `address` points to stays as it is until the completion.
  mutating func queue(
    _ operation: io_uring_op, descriptor: Int32, offset: UInt64, address: UnsafeRawPointer?, count: UInt32,
    userData: UInt64
  ) {
    let entry = unsafe entries.base + Int(tail & submissionMask) * 64
    unsafe entry.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
    unsafe entry.storeBytes(of: UInt8(truncatingIfNeeded: operation.rawValue), as: UInt8.self)
    unsafe entry.storeBytes(of: descriptor, toByteOffset: 4, as: Int32.self)
    unsafe entry.storeBytes(of: offset, toByteOffset: 8, as: UInt64.self)
    unsafe entry.storeBytes(of: UInt64(UInt(bitPattern: address)), toByteOffset: 16, as: UInt64.self)
    unsafe entry.storeBytes(of: count, toByteOffset: 24, as: UInt32.self)
    unsafe entry.storeBytes(of: userData, toByteOffset: 32, as: UInt64.self)
    tail &+= 1
  }

  /// Entries that the kernel has not been told of.
  var pending: UInt32 { tail &- submitted }

  /// Tells the kernel of what is queued, and with `wait` sleeps until there is a completion.
  mutating func submit(wait: Bool) throws(SystemError) {
    unsafe submissionTail.pointee.store(tail, ordering: .releasing)
    var wait = wait
    while true {
      let count = clinux_ring_enter(
        descriptor.number, pending, wait ? 1 : 0, UInt32(IORING_ENTER_GETEVENTS))
      if count >= 0 {
        submitted &+= UInt32(count)
        if pending == 0 { return }
        wait = false
      } else if count == -EBUSY || count == -EAGAIN {
        // The completions must be looked at first; what is queued stays.
        return
      } else if count != -EINTR {
        throw SystemError("io_uring_enter", error: -count)
      }
    }
  }

  /// The oldest completion, if there is one.
  mutating func next() -> Completion? {
    let head = unsafe completionHead.pointee.load(ordering: .relaxed)
    guard head != (unsafe completionTail.pointee.load(ordering: .acquiring)) else { return nil }
    let entry = unsafe completions + Int(head & completionMask) * 16
    let completion = unsafe Completion(
      userData: entry.load(as: UInt64.self), result: entry.load(fromByteOffset: 8, as: Int32.self))
    unsafe completionHead.pointee.store(head &+ 1, ordering: .releasing)
    return completion
  }
}

/// A shared mapping, undone at its end.
@safe
private struct Mapping: ~Copyable {
  let base: UnsafeMutableRawPointer
  private let byteCount: Int

  init(_ descriptor: Int32, byteCount: Int, offset: off_t) throws(SystemError) {
    let base = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, offset)
    guard let base = unsafe base, unsafe base != MAP_FAILED else { throw SystemError("mmap", "of an io_uring") }
    unsafe self.base = base
    self.byteCount = byteCount
  }

  func word(_ offset: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe (base + Int(offset)).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  deinit { unsafe munmap(base, byteCount) }
}
