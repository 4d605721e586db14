// SPDX-License-Identifier: Apache-2.0

#include "CRingPair.h"

// Linux's entry points, by their prototypes in tools/hv/vmbus_bufring.h.
void vmbus_br_setup(struct vmbus_br *ring, void *memory, unsigned int byte_count);
int rte_vmbus_chan_send(struct vmbus_br *ring, uint16_t type, void *data, uint32_t count, uint32_t flags);
int rte_vmbus_chan_recv_raw(struct vmbus_br *ring, void *buffer, uint32_t *count);

void c_ring_setup(struct vmbus_br *ring, void *memory, uint32_t byte_count) {
  vmbus_br_setup(ring, memory, byte_count);
}

int c_ring_send(struct vmbus_br *ring, const void *payload, uint32_t count) {
  return rte_vmbus_chan_send(ring, 6, (void *)payload, count, 0);
}

int c_ring_receive(struct vmbus_br *ring, void *buffer, uint32_t capacity) {
  return rte_vmbus_chan_recv_raw(ring, buffer, &capacity);
}

uint64_t c_ring_pair(
  struct vmbus_br *writer, struct vmbus_br *reader, const void *payload, uint32_t count, void *buffer,
  uint32_t capacity, uint64_t bursts, uint32_t burst) {
  uint64_t received = 0;
  for (uint64_t round = 0; round < bursts; round++) {
    for (uint32_t i = 0; i < burst; i++)
      if (rte_vmbus_chan_send(writer, 6, (void *)payload, count, 0) != 0) return received;
    for (uint32_t i = 0; i < burst; i++) {
      uint32_t size = capacity;
      if (rte_vmbus_chan_recv_raw(reader, buffer, &size) <= 0) return received;
      received++;
    }
  }
  return received;
}
