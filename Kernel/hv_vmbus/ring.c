// SPDX-License-Identifier: Apache-2.0
/* Reading packets where a driver walks the ring itself, and the look at a ring from outside. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/hyperv.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>
#include <linux/slab.h>
#include <linux/prefetch.h>
#include <linux/io.h>
#include <asm/mshyperv.h>
#include <linux/export.h>
#include "hv_vmbus.h"

int hv_ringbuffer_get_debuginfo(struct hv_ring_buffer_info *ring_info, struct hv_ring_buffer_debug_info *debug_info)
{
	u32 used;

	mutex_lock(&ring_info->ring_buffer_mutex);
	if (!ring_info->ring_buffer) {
		mutex_unlock(&ring_info->ring_buffer_mutex);
		return -EINVAL;
	}
	used = hv_get_bytes_to_read(ring_info);
	debug_info->bytes_avail_toread = used;
	debug_info->bytes_avail_towrite = ring_info->ring_datasize - used;
	debug_info->current_read_index = ring_info->ring_buffer->read_index;
	debug_info->current_write_index = ring_info->ring_buffer->write_index;
	debug_info->current_interrupt_mask = ring_info->ring_buffer->interrupt_mask;
	mutex_unlock(&ring_info->ring_buffer_mutex);
	return 0;
}
EXPORT_SYMBOL_GPL(hv_ringbuffer_get_debuginfo);

bool hv_ringbuffer_spinlock_busy(struct vmbus_channel *channel)
{
	return spin_is_locked(&channel->outbound.ring_lock);
}
EXPORT_SYMBOL_GPL(hv_ringbuffer_spinlock_busy);

/*
 * The packet at hand lies in the channel's buffer, and stays there until the next one is asked for: a driver may look at
 * it again. Descriptor and copy agree, whatever the host does meanwhile; that is Swift's promise.
 */
struct vmpacket_descriptor *hv_pkt_iter_first(struct vmbus_channel *channel)
{
	struct vb_channel *c = vb_of(channel);
	struct hv_ring_buffer_info *ring = &channel->inbound;
	struct vb_received received;
	int result;

	if (!c->packet_held) {
		if (!c->rings || c->broken)
			return NULL;
		result = swift_call(-EIO, rings_read, c->rings, ring->pkt_buffer, ring->pkt_buffer_size, &received);
		if (result < 0) {
			/* What follows on this ring means nothing any more. */
			c->broken = true;
			pr_err("hv_vmbus: channel %u: the host broke the ring (%d)\n",
			       channel->offermsg.child_relid, result);
		}
		if (result <= 0)
			return NULL;
		c->packet_held = true;
	}
	return ring->pkt_buffer;
}
EXPORT_SYMBOL_GPL(hv_pkt_iter_first);

struct vmpacket_descriptor *__hv_pkt_iter_next(struct vmbus_channel *channel, const struct vmpacket_descriptor *pkt)
{
	vb_of(channel)->packet_held = false;
	return hv_pkt_iter_first(channel);
}
EXPORT_SYMBOL_GPL(__hv_pkt_iter_next);

void hv_pkt_iter_close(struct vmbus_channel *channel)
{
	struct vb_channel *c = vb_of(channel);
	/* A driver that stops in front of a packet has not had it, and must find something to read again. */
	u32 hold = c->packet_held;

	if (!c->rings || c->broken)
		return;
	c->packet_held = false;
	if (swift_call(0, rings_commit, c->rings, hold)) {
		channel->intr_in_full++;
		vmbus_setevent(channel);
	}
	channel->inbound.priv_read_index = channel->inbound.ring_buffer->read_index;
}
EXPORT_SYMBOL_GPL(hv_pkt_iter_close);
