// SPDX-License-Identifier: Apache-2.0

// The C ring that Linux's own user-space daemons use (tools/hv/vmbus_bufring.c), driven from here. Its source is not in
// this repository: scripts/bench takes it from Debian's linux-source package, compiles it and links the object.

#pragma once
#include <stdint.h>

/// As declared in tools/hv/vmbus_bufring.h: ring memory, data size, private write index.
struct vmbus_br {
  void *ring;
  uint32_t data_size;
  uint32_t write_index;
};

/// `memory`: header page and data area, `byte_count` bytes in all.
void c_ring_setup(struct vmbus_br *ring, void *memory, uint32_t byte_count);

/// One in-band packet; `count` is a multiple of 8 (other lengths break the C ring). 0 or a negative errno.
int c_ring_send(struct vmbus_br *ring, const void *payload, uint32_t count);

/// One packet with its 16-byte descriptor into `buffer`: bytes of the packet and its trailer, or a negative errno.
int c_ring_receive(struct vmbus_br *ring, void *buffer, uint32_t capacity);

/// `bursts` times `burst` packets from `writer` to `reader`. Returns the packets that arrived.
uint64_t c_ring_pair(
  struct vmbus_br *writer, struct vmbus_br *reader, const void *payload, uint32_t count, void *buffer,
  uint32_t capacity, uint64_t bursts, uint32_t burst);

