// SPDX-License-Identifier: Apache-2.0
/*
 * Opening and closing channels, sharing memory, sending and receiving packets: what drivers call.
 *
 * The symbol versions of what is exported depend on the types that are known here: the kernel's own module knows those
 * of these headers.
 */
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/module.h>
#include <linux/hyperv.h>
#include <linux/uio.h>
#include <linux/interrupt.h>
#include <linux/set_memory.h>
#include <asm/page.h>
#include <asm/mshyperv.h>
#include <asm/sync_bitops.h>
#include "hv_vmbus.h"

/* Signals. */

void vmbus_setevent(struct vmbus_channel *channel)
{
	u32 *triggers = vb_shared.to_host_monitor;

	if (channel->offermsg.monitor_allocated && !channel->low_latency && triggers)
		/* Group n's pending bits: at byte 8 + 8 n. */
		sync_set_bit(channel->monitor_bit, (unsigned long *)&triggers[2 + 2 * (channel->monitor_grp & 3)]);
	else
		vmbus_set_event(channel);
}
EXPORT_SYMBOL_GPL(vmbus_setevent);

/* Waiting for the host. */

static void expect_answer(struct vb_channel *c, u32 what)
{
	reinit_completion(&c->answered);
	c->awaited = what;
}

/* 0, or why there was none. The caller holds c->requests. */
static int wait_for_answer(struct vb_channel *c)
{
	bool answered = wait_for_completion_timeout(&c->answered, VB_ANSWER_TIME);
	int result;

	mutex_lock(&vb_lock);
	/* It may have come just now. */
	answered = answered || completion_done(&c->answered);
	result = !answered ? -ETIMEDOUT : c->status ? -EAGAIN : 0;
	c->awaited = 0;
	mutex_unlock(&vb_lock);
	if (result == -ETIMEDOUT)
		pr_err("hv_vmbus: the host does not answer on channel %u\n", c->channel.offermsg.child_relid);
	return result;
}

/* A request that ends with an answer. */
#define vb_ask(c, what, function, ...)                                                                                \
	({                                                                                                            \
		int asked_ = -EIO;                                                                                    \
		mutex_lock(&vb_lock);                                                                                 \
		expect_answer(c, what);                                                                               \
		if (vb_bus && !vb_dead) {                                                                             \
			asked_ = swift_call(VB_TRAPPED, function, vb_bus, ##__VA_ARGS__);                             \
			if (asked_ == VB_TRAPPED)                                                                     \
				asked_ = vb_died();                                                                   \
		}                                                                                                     \
		if (asked_ < 0)                                                                                       \
			(c)->awaited = 0;                                                                             \
		mutex_unlock(&vb_lock);                                                                               \
		asked_;                                                                                               \
	})

void vb_answered(uint32_t relid, uint32_t what, uint32_t status)
{
	struct vmbus_channel *channel = vb_channel_of(relid);
	struct vb_channel *c;

	if (!channel)
		return;
	c = vb_of(channel);
	/* The end of something that nobody waits for any more, or of a sharing that failed half way. */
	if (c->awaited != what)
		return;
	c->status = status;
	complete(&c->answered);
}

/* Shared memory. */

static int share(struct vb_channel *c, const void *base, u32 bytes, struct vmbus_gpadl *gpadl)
{
	struct vb_span span = { .base = base, .pages = PFN_UP(bytes) };
	u32 number = 0;
	int result;

	gpadl->gpadl_handle = 0;
	gpadl->decrypted = false;
	mutex_lock(&c->requests);
	result = vb_ask(c, VB_GPADL_CREATED, bus_gpadl_create, c->channel.offermsg.child_relid, &span, &number);
	if (!result) {
		result = wait_for_answer(c);
		/* "Decrypted" memory is not freed by its driver: the host may still have it. */
		if (result == -ETIMEDOUT)
			gpadl->decrypted = true;
		else if (result)
			result = c->channel.rescind ? -ENODEV : -EDQUOT;
	}
	mutex_unlock(&c->requests);
	if (result)
		return result;
	gpadl->gpadl_handle = number;
	gpadl->buffer = (void *)base;
	gpadl->size = bytes;
	return 0;
}

static int unshare(struct vb_channel *c, struct vmbus_gpadl *gpadl)
{
	int result;

	if (!gpadl->gpadl_handle)
		return 0;
	mutex_lock(&c->requests);
	result = vb_ask(c, VB_GPADL_TORN_DOWN, bus_gpadl_tear_down, gpadl->gpadl_handle);
	if (!result)
		result = wait_for_answer(c);
	mutex_unlock(&c->requests);
	if (result == -ETIMEDOUT) {
		gpadl->decrypted = true;
		return result;
	}
	gpadl->gpadl_handle = 0;
	return 0;
}

int vmbus_establish_gpadl(struct vmbus_channel *channel, void *kbuffer, u32 size, struct vmbus_gpadl *gpadl)
{
	return share(vb_of(channel), kbuffer, size, gpadl);
}
EXPORT_SYMBOL_GPL(vmbus_establish_gpadl);

int vmbus_teardown_gpadl(struct vmbus_channel *channel, struct vmbus_gpadl *gpadl)
{
	return unshare(vb_of(channel), gpadl);
}
EXPORT_SYMBOL_GPL(vmbus_teardown_gpadl);

/* Rings. */

void vmbus_free_ring(struct vmbus_channel *channel)
{
	struct vb_channel *c = vb_of(channel);
	void *rings;

	mutex_lock(&channel->outbound.ring_buffer_mutex);
	channel->outbound.ring_buffer = NULL;
	mutex_unlock(&channel->outbound.ring_buffer_mutex);
	mutex_lock(&channel->inbound.ring_buffer_mutex);
	channel->inbound.ring_buffer = NULL;
	kfree(channel->inbound.pkt_buffer);
	channel->inbound.pkt_buffer = NULL;
	channel->inbound.pkt_buffer_size = 0;
	mutex_unlock(&channel->inbound.ring_buffer_mutex);
	rings = xchg(&c->rings, NULL);
	if (rings)
		(void)swift_call_trapped(rings_end, rings);
	if (channel->ringbuffer_page && !channel->ringbuffer_gpadlhandle.decrypted)
		__free_pages(channel->ringbuffer_page, get_order(channel->ringbuffer_pagecount << PAGE_SHIFT));
	channel->ringbuffer_page = NULL;
}
EXPORT_SYMBOL_GPL(vmbus_free_ring);

int vmbus_alloc_ring(struct vmbus_channel *channel, u32 send_size, u32 recv_size)
{
	unsigned int order = get_order(send_size + recv_size);
	struct page *page;

	if (!send_size || !recv_size || (send_size | recv_size) & ~PAGE_MASK)
		return -EINVAL;
	page = alloc_pages_node(cpu_to_node(channel->target_cpu), GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN, order);
	if (!page)
		page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
	if (!page)
		return -ENOMEM;
	channel->ringbuffer_page = page;
	channel->ringbuffer_pagecount = (send_size + recv_size) >> PAGE_SHIFT;
	channel->ringbuffer_send_offset = send_size >> PAGE_SHIFT;
	return 0;
}
EXPORT_SYMBOL_GPL(vmbus_alloc_ring);

static void describe_ring(struct hv_ring_buffer_info *info, void *base, u32 bytes)
{
	info->ring_size = bytes;
	info->ring_datasize = bytes - PAGE_SIZE;
	info->ring_size_div10_reciprocal = reciprocal_value(bytes / 10);
	info->priv_read_index = 0;
	info->ring_buffer = base;
}

static int lay_rings(struct vb_channel *c)
{
	struct vmbus_channel *channel = &c->channel;
	void *to_host = page_address(channel->ringbuffer_page);
	u32 to_host_bytes = channel->ringbuffer_send_offset << PAGE_SHIFT;
	u32 to_guest_bytes = (channel->ringbuffer_pagecount << PAGE_SHIFT) - to_host_bytes;
	void *to_guest = to_host + to_host_bytes;
	struct vb_rings layout = {
		.to_host_page = to_host,
		.to_host_data = to_host + PAGE_SIZE,
		.to_host_bytes = to_host_bytes - PAGE_SIZE,
		.to_guest_page = to_guest,
		.to_guest_data = to_guest + PAGE_SIZE,
		.to_guest_bytes = to_guest_bytes - PAGE_SIZE,
	};

	if (!channel->max_pkt_size)
		channel->max_pkt_size = VMBUS_DEFAULT_MAX_PKT_SIZE;
	channel->inbound.pkt_buffer = kzalloc(channel->max_pkt_size, GFP_KERNEL);
	if (!channel->inbound.pkt_buffer)
		return -ENOMEM;
	channel->inbound.pkt_buffer_size = channel->max_pkt_size;
	c->packet_held = c->broken = false;
	c->rings = swift_call(NULL, rings_make, &layout);
	if (!c->rings) {
		kfree(channel->inbound.pkt_buffer);
		channel->inbound.pkt_buffer = NULL;
		return -ENOMEM;
	}
	describe_ring(&channel->outbound, to_host, to_host_bytes);
	describe_ring(&channel->inbound, to_guest, to_guest_bytes);
	return 0;
}

static int make_requestor(struct vmbus_requestor *r, u32 size)
{
	u32 i;

	r->req_arr = kmalloc_array(size, sizeof(u64), GFP_KERNEL);
	r->req_bitmap = bitmap_zalloc(size, GFP_KERNEL);
	if (!r->req_arr || !r->req_bitmap) {
		kfree(r->req_arr);
		bitmap_free(r->req_bitmap);
		r->req_arr = NULL;
		r->req_bitmap = NULL;
		return -ENOMEM;
	}
	/* Free places name the next free place. */
	for (i = 0; i < size; i++)
		r->req_arr[i] = i + 1;
	spin_lock_init(&r->req_lock);
	r->next_request_id = 0;
	r->size = size;
	return 0;
}

static void end_requestor(struct vmbus_requestor *r)
{
	kfree(r->req_arr);
	bitmap_free(r->req_bitmap);
	r->req_arr = NULL;
	r->req_bitmap = NULL;
	r->size = 0;
}

static int open_on_ring(struct vmbus_channel *channel, void *userdata, u32 userdatalen,
			void (*callback)(void *context), void *context)
{
	struct vb_channel *c = vb_of(channel);
	u32 pages = channel->ringbuffer_pagecount;
	struct vb_opening opening = {
		.relid = channel->offermsg.child_relid,
		.to_guest_page = channel->ringbuffer_send_offset,
	};
	int result;

	if (userdatalen > sizeof(opening.user_data) || channel->state != CHANNEL_OPEN_STATE)
		return -EINVAL;
	if (channel->rescind)
		return -ENODEV;
	memcpy(opening.user_data, userdata, userdatalen);
	if (channel->rqstor_size) {
		result = make_requestor(&channel->requestor, channel->rqstor_size);
		if (result)
			return result;
	}
	channel->state = CHANNEL_OPENING_STATE;
	channel->onchannel_callback = callback;
	channel->channel_callback_context = context;

	result = lay_rings(c);
	if (result)
		goto undo;
	result = share(c, page_address(channel->ringbuffer_page), pages << PAGE_SHIFT,
		       &channel->ringbuffer_gpadlhandle);
	if (result)
		goto undo;
	opening.gpadl = channel->ringbuffer_gpadlhandle.gpadl_handle;
	opening.target_vp = hv_cpu_number_to_vp_number(channel->target_cpu);

	mutex_lock(&c->requests);
	result = vb_ask(c, VB_OPENED, bus_open, &opening);
	if (!result)
		result = wait_for_answer(c);
	mutex_unlock(&c->requests);
	if (result == -ETIMEDOUT) {
		/* It may open it yet: the memory stays with the host. */
		channel->ringbuffer_gpadlhandle.decrypted = true;
		channel->ringbuffer_gpadlhandle.gpadl_handle = 0;
	} else if (channel->rescind) {
		result = -ENODEV;
	}
	if (result)
		goto undo;
	channel->state = CHANNEL_OPENED_STATE;
	return 0;

undo:
	vb_stop_callbacks(channel);
	unshare(c, &channel->ringbuffer_gpadlhandle);
	end_requestor(&channel->requestor);
	channel->state = CHANNEL_OPEN_STATE;
	return result;
}

int vmbus_connect_ring(struct vmbus_channel *channel, void (*onchannel_callback)(void *context), void *context)
{
	return open_on_ring(channel, NULL, 0, onchannel_callback, context);
}
EXPORT_SYMBOL_GPL(vmbus_connect_ring);

int vmbus_open(struct vmbus_channel *channel, u32 send_ringbuffer_size, u32 recv_ringbuffer_size, void *userdata,
	       u32 userdatalen, void (*onchannel_callback)(void *context), void *context)
{
	int result = vmbus_alloc_ring(channel, send_ringbuffer_size, recv_ringbuffer_size);

	if (result)
		return result;
	result = open_on_ring(channel, userdata, userdatalen, onchannel_callback, context);
	if (result)
		vmbus_free_ring(channel);
	return result;
}
EXPORT_SYMBOL_GPL(vmbus_open);

/* Closing. */

void vb_stop_callbacks(struct vmbus_channel *channel)
{
	unsigned long flags;

	/* Who schedules callbacks looks at this one under the same lock. */
	spin_lock_irqsave(&channel->sched_lock, flags);
	channel->onchannel_callback = NULL;
	spin_unlock_irqrestore(&channel->sched_lock, flags);
	tasklet_kill(&channel->callback_event);
	channel->sc_creation_callback = NULL;
}

void vmbus_reset_channel_cb(struct vmbus_channel *channel)
{
	vb_stop_callbacks(channel);
}

static int close_one(struct vmbus_channel *channel)
{
	struct vb_channel *c = vb_of(channel);
	int result;

	vb_stop_callbacks(channel);
	if (channel->state != CHANNEL_OPENED_STATE)
		return -EINVAL;
	channel->state = CHANNEL_OPEN_STATE;
	result = vb_request(bus_close, channel->offermsg.child_relid);
	if (result)
		/* The host may still use the ring: it keeps the memory. */
		channel->ringbuffer_gpadlhandle.decrypted = true;
	else
		result = unshare(c, &channel->ringbuffer_gpadlhandle);
	end_requestor(&channel->requestor);
	return result;
}

static struct vmbus_channel *open_sub_channel(struct vmbus_channel *channel)
{
	struct vmbus_channel *sub;

	list_for_each_entry(sub, &channel->sc_list, sc_list)
		if (sub->state == CHANNEL_OPENED_STATE)
			return sub;
	return NULL;
}

int vmbus_disconnect_ring(struct vmbus_channel *channel)
{
	struct vmbus_channel *sub;
	bool rescinded;

	if (channel->primary_channel)
		return -EINVAL;
	mutex_lock(&vb_channels_lock);
	while ((sub = open_sub_channel(channel))) {
		rescinded = READ_ONCE(sub->rescind);
		if (rescinded) {
			/* Its removal has been queued, finds it open and leaves it to us. */
			mutex_unlock(&vb_channels_lock);
			wait_for_completion(&sub->rescind_event);
			mutex_lock(&vb_channels_lock);
		}
		close_one(sub);
		vmbus_free_ring(sub);
		if (rescinded) {
			mutex_unlock(&vb_channels_lock);
			vb_channel_gone(sub);
			mutex_lock(&vb_channels_lock);
		}
	}
	mutex_unlock(&vb_channels_lock);
	return close_one(channel);
}
EXPORT_SYMBOL_GPL(vmbus_disconnect_ring);

void vmbus_close(struct vmbus_channel *channel)
{
	if (vmbus_disconnect_ring(channel) != -EINVAL)
		vmbus_free_ring(channel);
}
EXPORT_SYMBOL_GPL(vmbus_close);

/* Which processor is interrupted. */

int vmbus_send_modifychannel(struct vmbus_channel *channel, u32 target_vp)
{
	struct vb_channel *c = vb_of(channel);
	int result;

	mutex_lock(&c->requests);
	result = vb_ask(c, VB_MODIFIED, bus_modify, channel->offermsg.child_relid, target_vp);
	if (result > 0)
		result = wait_for_answer(c);
	mutex_unlock(&c->requests);
	return result;
}
EXPORT_SYMBOL_GPL(vmbus_send_modifychannel);

int vmbus_send_tl_connect_request(const guid_t *shv_guest_servie_id, const guid_t *shv_host_servie_id)
{
	return vb_request(bus_connect_socket, shv_guest_servie_id, shv_host_servie_id);
}
EXPORT_SYMBOL_GPL(vmbus_send_tl_connect_request);

/* Packets. */

static int send(struct vmbus_channel *channel, struct vb_packet *packet, u64 requestid, u64 *trans_id)
{
	struct vb_channel *c = vb_of(channel);
	unsigned long flags;
	bool named = false;
	int result = -ENODEV;

	if (channel->rescind)
		return -ENODEV;
	spin_lock_irqsave(&channel->outbound.ring_lock, flags);
	if (!c->rings)
		goto out;
	packet->transaction = requestid;
	if (packet->completion_requested && channel->next_request_id_callback) {
		packet->transaction = channel->next_request_id_callback(channel, requestid);
		if (packet->transaction == VMBUS_RQST_ERROR) {
			result = -EAGAIN;
			goto out;
		}
		named = packet->transaction != VMBUS_NO_RQSTOR;
		if (!named)
			packet->transaction = requestid;
	}
	result = swift_call(-EIO, rings_write, c->rings, packet);
	if (result >= 0) {
		channel->out_full_flag = false;
		if (trans_id)
			*trans_id = packet->transaction;
	} else if (result == -EAGAIN) {
		channel->out_full_total++;
		if (!channel->out_full_flag)
			channel->out_full_first++;
		channel->out_full_flag = true;
	}
out:
	spin_unlock_irqrestore(&channel->outbound.ring_lock, flags);
	if (result > 0) {
		channel->intr_out_empty++;
		vmbus_setevent(channel);
	} else if (result < 0 && named && channel->request_addr_callback) {
		channel->request_addr_callback(channel, packet->transaction);
	}
	return min(result, 0);
}

int vmbus_sendpacket_getid(struct vmbus_channel *channel, void *buffer, u32 bufferlen, u64 requestid, u64 *trans_id,
			   enum vmbus_packet_type type, u32 flags)
{
	struct vb_packet packet = {
		.payload = buffer,
		.payload_bytes = bufferlen,
		.type = type,
		.completion_requested = flags & VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED,
	};

	return send(channel, &packet, requestid, trans_id);
}
EXPORT_SYMBOL(vmbus_sendpacket_getid);

int vmbus_sendpacket(struct vmbus_channel *channel, void *buffer, u32 bufferlen, u64 requestid,
		     enum vmbus_packet_type type, u32 flags)
{
	return vmbus_sendpacket_getid(channel, buffer, bufferlen, requestid, NULL, type, flags);
}
EXPORT_SYMBOL(vmbus_sendpacket);

int vmbus_sendpacket_mpb_desc(struct vmbus_channel *channel, struct vmbus_packet_mpb_array *desc, u32 desc_size,
			      void *buffer, u32 bufferlen, u64 requestid)
{
	const u32 fixed = offsetof(struct vmbus_packet_mpb_array, reserved);
	struct vb_packet packet = {
		.descriptor = &desc->reserved,
		.descriptor_bytes = desc_size - fixed,
		.payload = buffer,
		.payload_bytes = bufferlen,
		.type = VM_PKT_DATA_USING_GPA_DIRECT,
		.completion_requested = 1,
	};

	if (desc_size < sizeof(*desc))
		return -EINVAL;
	desc->reserved = 0;
	return send(channel, &packet, requestid, NULL);
}
EXPORT_SYMBOL_GPL(vmbus_sendpacket_mpb_desc);

static int receive(struct vmbus_channel *channel, void *buffer, u32 bufferlen, u32 *actual, u64 *requestid, bool raw)
{
	struct vmpacket_descriptor *packet = hv_pkt_iter_first(channel);
	u32 offset = 0, bytes;

	*actual = 0;
	*requestid = 0;
	if (!packet)
		return 0;
	if (!raw)
		offset = packet->offset8 << 3;
	bytes = (packet->len8 << 3) - offset;
	*actual = bytes;
	*requestid = packet->trans_id;
	/* A packet that is too large stays: the caller comes again with more room. */
	if (bytes > bufferlen)
		return -ENOBUFS;
	memcpy(buffer, (void *)packet + offset, bytes);
	__hv_pkt_iter_next(channel, packet);
	hv_pkt_iter_close(channel);
	return 0;
}

int vmbus_recvpacket(struct vmbus_channel *channel, void *buffer, u32 bufferlen, u32 *buffer_actual_len,
		     u64 *requestid)
{
	return receive(channel, buffer, bufferlen, buffer_actual_len, requestid, false);
}
EXPORT_SYMBOL(vmbus_recvpacket);

int vmbus_recvpacket_raw(struct vmbus_channel *channel, void *buffer, u32 bufferlen, u32 *buffer_actual_len,
			 u64 *requestid)
{
	return receive(channel, buffer, bufferlen, buffer_actual_len, requestid, true);
}
EXPORT_SYMBOL_GPL(vmbus_recvpacket_raw);

/* Numbers for requests, so that the host never sees an address. Numbers begin at 1. */

u64 vmbus_next_request_id(struct vmbus_channel *channel, u64 rqst_addr)
{
	struct vmbus_requestor *r = &channel->requestor;
	unsigned long flags;
	u64 place;

	if (!channel->rqstor_size)
		return VMBUS_NO_RQSTOR;
	lock_requestor(channel, flags);
	place = r->next_request_id;
	if (!r->req_arr || place >= r->size) {
		unlock_requestor(channel, flags);
		return VMBUS_RQST_ERROR;
	}
	r->next_request_id = r->req_arr[place];
	r->req_arr[place] = rqst_addr;
	__set_bit(place, r->req_bitmap);
	unlock_requestor(channel, flags);
	return place + 1;
}
EXPORT_SYMBOL_GPL(vmbus_next_request_id);

u64 __vmbus_request_addr_match(struct vmbus_channel *channel, u64 trans_id, u64 rqst_addr)
{
	struct vmbus_requestor *r = &channel->requestor;
	u64 place = trans_id - 1, address;

	if (!channel->rqstor_size)
		return VMBUS_NO_RQSTOR;
	/* The host's word: it may name what was never given out. 0 is what it sends of itself. */
	if (!trans_id || !r->req_arr || place >= r->size || !test_bit(place, r->req_bitmap))
		return VMBUS_RQST_ERROR;
	address = r->req_arr[place];
	if (rqst_addr == VMBUS_RQST_ADDR_ANY || address == rqst_addr) {
		r->req_arr[place] = r->next_request_id;
		r->next_request_id = place;
		__clear_bit(place, r->req_bitmap);
	}
	return address;
}
EXPORT_SYMBOL_GPL(__vmbus_request_addr_match);

u64 vmbus_request_addr_match(struct vmbus_channel *channel, u64 trans_id, u64 rqst_addr)
{
	unsigned long flags;
	u64 address;

	lock_requestor(channel, flags);
	address = __vmbus_request_addr_match(channel, trans_id, rqst_addr);
	unlock_requestor(channel, flags);
	return address;
}
EXPORT_SYMBOL_GPL(vmbus_request_addr_match);

u64 vmbus_request_addr(struct vmbus_channel *channel, u64 trans_id)
{
	return vmbus_request_addr_match(channel, trans_id, VMBUS_RQST_ADDR_ANY);
}
EXPORT_SYMBOL_GPL(vmbus_request_addr);
