// SPDX-License-Identifier: Apache-2.0

/// Whether the kernel may let us sleep until it has memory. Said at each allocation, since the kernel cannot know it.
public enum AllocationMode: Sendable {
  case maySleep
  /// In interrupts, under locks: may fail sooner.
  case atomic

  @usableFromInline var isAtomic: Bool { self == .atomic }
}
